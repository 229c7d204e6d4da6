import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser } from './stage/browser';
import { upload } from './stage/scene';
import { Server } from './stage/server';
import { Worker } from './stage/worker';

const PASSWORD = 'correct horse battery staple';

let server: Server;
let browser: Browser;

beforeAll(async () => {
	[server, browser] = await Promise.all([Server.start(), openBrowser()]);
});
afterAll(async () => {
	await browser?.close();
	await server?.stop();
});

async function signIn({ page }: Person, name: string, password: string) {
	await page.getByLabel('Name').fill(name);
	await page.getByLabel('Password').fill(password);
	await page.getByRole('button', { name: 'Sign in' }).click();
}

it('makes the first admin choose a password, keeps the session, and ends it', async () => {
	const person = await Person.at(browser, server);
	const { page } = person;
	const first = (await readFile(join(server.data, 'tokens', 'admin.password'), 'utf8')).trim();
	await page.goto('/');
	await signIn(person, 'admin', 'not this one, surely');
	await page.getByRole('alert').getByText('the name or the password is wrong').waitFor();
	person.expectComplaint(/status of 401/);
	await signIn(person, 'admin', first);
	await page.getByRole('heading', { name: 'Choose a password' }).waitFor();
	await page.getByLabel('Password so far').fill(first);
	await page.getByLabel('New password').fill(PASSWORD);
	await page.getByLabel('The same again').fill(PASSWORD);
	await page.getByRole('button', { name: 'Change password' }).click();
	await page.getByRole('heading', { name: 'Updates', exact: true }).waitFor();

	// No script can read what the session hangs on.
	expect(await page.evaluate(() => document.cookie)).toBe('');
	await page.reload();
	await page.getByRole('heading', { name: 'Updates', exact: true }).waitFor();
	const cookies = await page.context().cookies();
	expect(cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite])).toEqual([[true, 'Strict']]);
	await page.getByRole('button', { name: 'Sign out' }).click();
	await page.getByRole('heading', { name: 'Resplice' }).waitFor();
	await page.reload();
	await page.getByRole('button', { name: 'Sign in' }).waitFor();
	expect(await page.context().cookies()).toEqual([]);
	await person.leave();
});

it('lets an engineer release to a channel and promote to the next', async () => {
	const id = await upload(server, 'fs-loadavg.patch');
	await (await Worker.register(server)).build();
	const person = await Person.at(browser, server);
	const { page } = person;
	await person.signIn('engineer');
	await page.goto(`/updates/${id}`);
	await page.getByLabel(/Comment/).fill('Read and understood.');
	await page.getByLabel(/I have read/).check();
	await page.getByRole('button', { name: 'Release to edge' }).click();
	await page.getByText('Released to edge by engineer').waitFor();
	await page.getByLabel('stable').check();
	await page.getByLabel(/I have read/).check();
	await page.getByRole('button', { name: 'Promote to stable' }).click();
	await page.getByText('Promoted to stable by engineer').waitFor();
	await page.getByRole('heading', { name: 'Promote' }).waitFor({ state: 'detached' });
	await person.leave();
});
