/** The admin's way: people, tokens, the queue, and what the audit log says of it all. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser } from './stage/browser';
import { upload } from './stage/scene';
import { Server } from './stage/server';
import { Worker } from './stage/worker';

let server: Server;
let browser: Browser;
let person: Person;

beforeAll(async () => {
	[server, browser] = await Promise.all([Server.start(), openBrowser()]);
	person = await Person.at(browser, server);
	await person.signIn('admin');
});
afterAll(async () => {
	await person?.leave();
	await browser?.close();
	await server?.stop();
});

const secret = () => person.page.getByRole('status').locator('code').innerText();

it('makes an account, whose password is shown once and opens the door', async () => {
	const { page } = person;
	await page.getByRole('link', { name: 'Admin' }).click();
	await page.getByRole('link', { name: 'People and tokens' }).click();
	const people = page.getByRole('region', { name: 'People' });
	await people.getByRole('button', { name: 'New account' }).click();
	await people.getByLabel(/^Name/).fill('erin');
	await people.getByRole('checkbox', { name: /^team/ }).uncheck();
	expect(await people.getByRole('button', { name: 'Make the account' }).isDisabled()).toBe(true);
	await people.getByRole('checkbox', { name: /^engineer/ }).check();
	await people.getByRole('button', { name: 'Make the account' }).click();
	await people.getByText('has to choose a password').waitFor();
	const password = await secret();
	await page.reload();
	await people.getByText('erin').waitFor();
	expect(await page.content()).not.toContain(password);

	const erin = await Person.at(browser, server);
	await erin.page.goto('/');
	await erin.page.getByLabel('Name').fill('erin');
	await erin.page.getByLabel('Password').fill(password);
	await erin.page.getByRole('button', { name: 'Sign in' }).click();
	await erin.page.getByRole('heading', { name: /password/i }).waitFor();
	await erin.leave();

	await people.getByRole('button', { name: 'Close the account of erin' }).click();
	await page.getByRole('button', { name: 'Close it' }).click();
	await people.getByText(/^closed/).waitFor();
});

it('makes a token that holds until it is revoked', async () => {
	const { page } = person;
	await page.goto('/admin/people');
	const tokens = page.getByRole('region', { name: 'Tokens' });
	await tokens.getByRole('button', { name: 'New token' }).click();
	await tokens.getByLabel('Name').fill('builder-2');
	await tokens.getByLabel(/^Days/).fill('7');
	await tokens.getByRole('button', { name: 'Make the token' }).click();
	await tokens.getByText('The token builder-2.').waitFor();
	const token = await secret();
	const who = await (await server.call({ token }, 'GET', '/whoami')).json();
	expect(who).toMatchObject({ name: 'builder-2', role: 'worker' });
	await tokens.getByRole('button', { name: 'Done' }).click();
	expect(await page.content()).not.toContain(token);
	await tokens.getByRole('button', { name: 'Revoke the token builder-2' }).click();
	await page.getByRole('button', { name: 'Revoke it' }).click();
	await tokens.getByText(/^revoked/).waitFor();
	await expect(server.call({ token }, 'GET', '/whoami')).rejects.toThrow('401');
});

it('sees what workers run, puts a build before others, and cancels one', async () => {
	const { page } = person;
	const worker = await Worker.register(server);
	await upload(server, 'fs-loadavg.patch', { name: 'runs' });
	await worker.lease();
	await upload(server, 'fs-loadavg.patch', { name: 'first in line' });
	await upload(server, 'kernel-fscaps.patch', { name: 'urgent' });
	await page.goto('/admin');
	await page.getByRole('listitem').filter({ hasText: 'attempt 1' }).getByRole('link', { name: 'runs' }).waitFor();
	const queue = page.getByRole('listitem').filter({ has: page.getByRole('button', { name: /^Cancel/ }) });
	await expect.poll(() => queue.allInnerTexts().then((texts) => texts.map((text) => text.split('\n')[0]))).toEqual(['first in line', 'urgent']);
	await page.getByRole('button', { name: 'Build urgent sooner' }).click();
	await expect.poll(() => queue.first().innerText()).toContain('urgent');
	await page.getByRole('button', { name: 'Cancel the build of first in line' }).click();
	await page.getByRole('dialog').getByLabel(/^Reason/).fill('twice the same');
	await page.getByRole('button', { name: 'Cancel the build', exact: true }).click();
	await expect.poll(() => queue.count()).toBe(1);
});

it('finds it all in the audit log, and proves an entry', async () => {
	const { page } = person;
	await page.getByRole('link', { name: 'Audit' }).click();
	await page.getByText(/entries, signed by/).waitFor();
	await page.getByLabel('Search').fill('erin');
	await page.getByText('/users/erin').first().waitFor();
	await page.getByLabel('Actions').selectOption('token.');
	await page.getByText('No entry is like this').waitFor();
	await page.getByLabel('Search').fill('');
	const row = page.getByRole('row').filter({ hasText: 'token.create' }).first();
	await row.getByRole('button', { name: /Prove/ }).click();
	await row.getByText('proved').waitFor();
});

it('is warned if the log was cut back, or an entry is another one', async () => {
	const { page } = person;
	await page.goto('/audit');
	await page.getByText('It has only grown').waitFor();
	await page.route('**/api/v1/audit?*', async (route) => {
		const response = await route.fetch();
		await route.fulfill({ response, body: (await response.text()).replaceAll('token.create', 'token.revoke') });
	});
	await page.reload();
	const row = page.getByRole('row').filter({ hasText: 'token.revoke' }).last();
	await row.getByRole('button', { name: /Prove/ }).click();
	await row.getByText('something else than what was logged').waitFor();
	await page.unrouteAll({ behavior: 'ignoreErrors' });
	await page.evaluate(() => {
		const seen = JSON.parse(localStorage.getItem('resplice.log')!);
		localStorage.setItem('resplice.log', JSON.stringify({ ...seen, size: seen.size + 100 }));
	});
	await page.reload();
	await page.getByText('it was cut back').waitFor();
});

it('sees how long keys hold, and that all of them lie on this server', async () => {
	const { page } = person;
	await page.goto('/admin/keys');
	await page.getByText('364 days left').or(page.getByText('365 days left')).waitFor();
	await page.getByText(/keys of root and targets lie on this server/).waitFor();
});

const NEW = '6.1.0-55-cloud-amd64';

it('imports a kernel that has come into the archive, and watches it arrive', async () => {
	const { page } = person;
	await page.goto('/admin');
	const imports = page.getByRole('region', { name: 'Import a kernel' });
	await imports.getByRole('button', { name: 'Look at the archive' }).click();
	await imports.getByText('archive looked at just now').waitFor();
	expect(await imports.getByText('New in the archive').count()).toBe(0);
	await server.archive.add(NEW, '6.1.190-1');
	await imports.getByRole('button', { name: 'Look again' }).click();
	await imports.getByText('New in the archive').waitFor();

	const release = await server.archive.occupy(NEW);
	await imports.getByRole('button', { name: `Import debian:${NEW}` }).click();
	await imports.getByRole('progressbar', { name: `Import of debian:${NEW}` }).waitFor();
	await imports.getByText('waiting for another import').waitFor();
	expect(await imports.getByText('New in the archive').count()).toBe(0);
	await server.importElsewhere(NEW);
	release();
	await imports.getByText('✓ imported').waitFor();
	await page.getByRole('region', { name: 'Targets' }).getByText(`debian:${NEW}`).waitFor();
});

it('hears why a kernel could not be imported', async () => {
	const { page } = person;
	await server.archive.add('6.1.0-56-amd64', '6.1.192-2');
	const imports = page.getByRole('region', { name: 'Import a kernel' });
	await imports.getByRole('button', { name: 'Look again' }).click();
	await imports.locator('option', { hasText: '6.1.0-56-amd64' }).waitFor({ state: 'attached' });
	await imports.getByLabel('Kernel of the archive').selectOption('debian:6.1.0-56-amd64');
	await imports.getByRole('button', { name: 'Import', exact: true }).click();
	await imports.getByText('✗ failed').waitFor();
	await imports.getByText(/the archive holds no .*apt-get update/).waitFor();
	// What has failed can be tried again.
	await imports.locator('option', { hasText: '6.1.0-56-amd64' }).waitFor({ state: 'attached' });
});

it('retires a kernel: nobody is offered it, until it is restored', async () => {
	const { page } = person;
	const targets = page.getByRole('region', { name: 'Targets' });
	await targets.getByRole('button', { name: `Retire… debian:${NEW}` }).click();
	await page.getByLabel(/^Reason/).fill('no host has it');
	await page.getByRole('button', { name: 'Retire it' }).click();
	await targets.getByText(/^retired by admin.*no host has it$/).waitFor();
	const team = await Person.at(browser, server);
	await team.signIn('team');
	await team.page.goto('/upload');
	await team.page.getByText('6.1.0-47-cloud-amd64').waitFor();
	expect(await team.page.getByText(NEW).count()).toBe(0);
	await team.leave();
	await targets.getByRole('button', { name: `Restore debian:${NEW}` }).click();
	await targets.getByRole('button', { name: `Retire… debian:${NEW}` }).waitFor();
});
