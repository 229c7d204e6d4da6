/** The vendor's way: a token, the feeds with it, and a server that is told. */
import { createHmac } from 'node:crypto';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser, picture } from './stage/browser';
import { upload } from './stage/scene';
import { Server } from './stage/server';
import { Worker } from './stage/worker';

let server: Server;
let browser: Browser;
let token: string;
let vendor: Person;

/** The vendor's own server. */
const told: { headers: IncomingHttpHeaders; body: string }[] = [];
const answers = [500, 204];
const receiver = createServer((request, response) => {
	let body = '';
	request.on('data', (chunk: Buffer) => { body += chunk.toString(); });
	request.on('end', () => {
		told.push({ headers: request.headers, body });
		response.writeHead(answers.shift() ?? 204).end();
	});
});

beforeAll(async () => {
	await new Promise<void>((done) => receiver.listen(0, '127.0.0.1', done));
	[server, browser] = await Promise.all([Server.start('--webhook-http', '--webhook-allow', '127.0.0.0/8'), openBrowser()]);
});
afterAll(async () => {
	await vendor?.leave();
	await browser?.close();
	await server?.stop();
	receiver.close();
});

it('gets a token from an administrator, and reads the feeds with it', async () => {
	const admin = await Person.at(browser, server);
	await admin.signIn('admin');
	await admin.page.goto('/feeds');
	await admin.page.getByRole('link', { name: 'People and tokens' }).click();
	const tokens = admin.page.getByRole('region', { name: 'Tokens' });
	await tokens.getByRole('button', { name: 'New token' }).click();
	await tokens.getByLabel('Name').fill('northwind');
	await tokens.getByLabel('Role').selectOption('vendor');
	await tokens.getByRole('button', { name: 'Make the token' }).click();
	token = await tokens.getByRole('status').locator('code').innerText();
	await admin.leave();

	vendor = await Person.at(browser, server);
	await vendor.signIn({ token });
	const { page } = vendor;
	await page.getByRole('heading', { name: 'Feeds', exact: true }).waitFor();
	expect(await page.getByRole('navigation', { name: 'Main' }).getByRole('link').allInnerTexts()).toEqual(['Feeds']);
	const addresses = (await page.locator('dd code').allInnerTexts()).filter((address) => address.startsWith(server.url));
	expect(addresses.length).toBeGreaterThan(3);
	for (const address of addresses) {
		expect((await fetch(address)).status).toBe(401);
		const read = await fetch(address, { headers: { authorization: `Bearer ${token}` } });
		expect([address, read.status]).toEqual([address, 200]);
	}
});

it('is told of a release, signed, again after a failure, and sees that it was', async () => {
	const { page } = vendor;
	const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
	const webhooks = page.getByRole('region', { name: 'Webhooks' });
	await webhooks.getByRole('button', { name: 'Subscribe' }).click();
	await webhooks.getByLabel('Address').fill(url);
	await webhooks.getByRole('button', { name: 'Subscribe' }).click();
	const secret = await webhooks.getByRole('status').locator('code').innerText();
	await webhooks.getByText('Nothing to tell so far').waitFor();

	const worker = await Worker.register(server);
	const update = await upload(server, 'fs-loadavg.patch', { cves: ['CVE-2026-68300'] });
	await worker.build();
	await server.call('engineer', 'POST', `/updates/${update}/release`, { channel: 'stable', comment: '' });
	const deliveries = webhooks.getByRole('list', { name: `Deliveries to ${url}` });
	await deliveries.getByText(/tried once: .*500/).waitFor();
	await deliveries.getByText('delivered, tried 2 times').waitFor();

	const { headers, body } = told.at(-1)!;
	const key = Buffer.from(secret.replace('whsec_', ''), 'base64');
	const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
	const mac = createHmac('sha256', key).update(signed).digest('base64');
	expect(headers['webhook-signature']).toContain(`v1,${mac}`);
	expect(body).toContain(update);
	await picture(page, 'feeds-vendor');

	await deliveries.getByRole('button', { name: /^Send again/ }).click();
	await expect.poll(() => told.length).toBe(3);
	const feed = await fetch(`${server.url}/feeds/stable.atom`, { headers: { authorization: `Bearer ${token}` } });
	expect(await feed.text()).toContain('CVE-2026-68300');
});

it('gets a new secret, and can stop being told', async () => {
	const { page } = vendor;
	const webhooks = page.getByRole('region', { name: 'Webhooks' });
	const once = webhooks.getByRole('status').locator('code');
	const before = await once.innerText();
	await webhooks.getByRole('button', { name: /^New secret/ }).click();
	await page.getByRole('button', { name: 'Make a new secret' }).click();
	await webhooks.getByText('the old secret signs too').waitFor();
	expect(await once.innerText()).not.toBe(before);
	await page.reload();
	await webhooks.getByRole('button', { name: /^Remove/ }).waitFor();
	expect(await once.count()).toBe(0);
	await webhooks.getByRole('button', { name: /^Remove/ }).click();
	await page.getByRole('button', { name: 'Remove it' }).click();
	await webhooks.getByText('No server is told yet').waitFor();
});

it('reads why an address is not taken, as text', async () => {
	const { page } = vendor;
	const webhooks = page.getByRole('region', { name: 'Webhooks' });
	await webhooks.getByRole('button', { name: 'Subscribe' }).click();
	await webhooks.getByLabel('Address').fill('ftp://x.example/<img/src=x/data-evil/onerror=alert(1)>');
	await webhooks.getByRole('button', { name: 'Subscribe' }).click();
	await webhooks.getByRole('alert').waitFor();
	expect(await page.locator('[data-evil]').count()).toBe(0);
	vendor.expectComplaint(/422/);
});
