/** The operator's way: which host failed, and why; which hosts are open to what. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser } from './stage/browser';
import { setScene, type Scene } from './stage/scene';
import { Server } from './stage/server';

let server: Server;
let browser: Browser;
let scene: Scene;

beforeAll(async () => {
	[server, browser] = await Promise.all([Server.start(), openBrowser()]);
	scene = await setScene(server);
});
afterAll(async () => {
	await browser?.close();
	await server?.stop();
});

it('finds the host that failed and its reason, from the numbers of the fleet', async () => {
	const person = await Person.at(browser, server);
	const { page } = person;
	await person.signIn('engineer');
	await page.getByRole('link', { name: 'Fleet' }).click();
	await page.getByText('livepatch').waitFor();
	await page.getByRole('link', { name: /failures/ }).click();
	await page.waitForURL('**/hosts?state=failing');
	const rows = page.getByRole('row').filter({ has: page.getByRole('link') });
	await expect.poll(() => rows.count()).toBe(1);
	await rows.getByRole('link').first().click();
	await page.waitForURL(`**/hosts/${scene.host}`);
	await page.getByText('loadavg_proc_show is held by a kernel livepatch').first().waitFor();

	await page.getByRole('button', { name: 'Change' }).click();
	await page.getByLabel(/^Channel/).selectOption('candidate');
	await page.getByLabel(/^Groups/).fill('frontends, look-at');
	await page.getByRole('button', { name: 'Save' }).click();
	await page.getByRole('link', { name: 'look-at' }).waitFor();
	await page.reload();
	await page.getByRole('link', { name: 'look-at' }).waitFor();
	await page.getByText('candidate').waitFor();
	await person.leave();
});

it('finds the hosts that are open to a CVE, by words too, and freezes a group', async () => {
	const person = await Person.at(browser, server);
	const { page } = person;
	await person.signIn('engineer');
	await page.goto('/fleet');
	const cve = page.getByRole('listitem').filter({ hasText: 'CVE-2026-68300' }).filter({ hasText: 'open' }).last();
	const open = cve.getByRole('link', { name: /hosts? open/ });
	const count = Number.parseInt(await open.innerText(), 10);
	await open.click();
	await page.waitForURL('**/hosts?open_to=CVE-2026-68300');
	const rows = page.locator('tbody tr');
	await expect.poll(() => rows.count()).toBe(count);
	await page.getByRole('button', { name: /No longer only: open to/ }).click();
	await expect.poll(() => rows.count()).toBe(10);
	await page.getByLabel('Search').fill('BUILD');
	await expect.poll(() => rows.count()).toBe(2);
	await page.getByLabel('Search').fill('nothing like this');
	await page.getByText('No host is like this').waitFor();
	await page.getByRole('link', { name: 'Show all hosts' }).click();
	await expect.poll(() => rows.count()).toBe(10);

	const group = page.getByRole('listitem').filter({ hasText: 'frontends' }).last();
	await group.getByRole('button', { name: 'Freeze' }).click();
	await page.getByRole('dialog').getByLabel(/^Reason/).fill('a sale');
	await page.keyboard.press('Enter');
	await group.getByText('frozen: a sale').waitFor();
	await group.getByRole('button', { name: 'Thaw' }).click();
	await page.getByRole('button', { name: 'Thaw it' }).click();
	await group.getByRole('button', { name: 'Freeze' }).waitFor();
	await person.leave();
});
