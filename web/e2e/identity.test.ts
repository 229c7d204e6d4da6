/** Signing in by way of an identity provider on another site, as a browser does it. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser } from './stage/browser';
import { Provider } from './stage/provider';
import { Server, freePort } from './stage/server';

let provider: Provider;
let server: Server;
let browser: Browser;
let alice: Person;

beforeAll(async () => {
	provider = await Provider.start('alice');
	server = await Server.start(...provider.flags(await freePort()));
	browser = await openBrowser();
	alice = await Person.at(browser, server);
});
afterAll(async () => {
	alice?.expectComplaint(/asks elsewhere/);
	await alice?.leave();
	await browser?.close();
	await server?.stop();
	await provider?.stop();
});

async function byProvider() {
	const { page } = alice;
	await page.goto('/');
	await page.getByRole('link', { name: 'Sign in with Test ID' }).click();
	await page.getByRole('link', { name: 'Go on as alice' }).click();
}

it('gives a new person an account without a role, and lets them in once they have one', async () => {
	const { page } = alice;
	await byProvider();
	await page.getByRole('alert').getByText('no role yet').waitFor();
	await expect.poll(() => new URL(page.url()).search).toBe('');
	await page.reload();
	await page.getByRole('link', { name: 'Sign in with Test ID' }).waitFor();
	expect(await page.getByRole('alert').count()).toBe(0);
	await server.call('admin', 'PATCH', '/users/alice', { roles: ['team'] });
	await byProvider();
	await page.getByRole('heading', { name: 'Updates', exact: true }).waitFor();
	await expect.poll(() => new URL(page.url()).search).toBe('');
	expect(await page.evaluate(() => document.cookie)).toBe('');
	await page.reload();
	await page.getByRole('heading', { name: 'Updates', exact: true }).waitFor();
	const cookies = await page.context().cookies(server.url);
	expect(cookies.map(({ httpOnly, sameSite }) => [httpOnly, sameSite])).toEqual([[true, 'Strict']]);
});

it('ends with the session when an admin unlinks the account', async () => {
	const admin = await Person.at(browser, server);
	await admin.signIn('admin');
	await admin.page.goto('/admin/people');
	await admin.page.getByRole('button', { name: 'Unlink alice from the identity provider' }).click();
	await admin.page.getByRole('button', { name: 'Unlink it' }).click();
	await admin.page.getByRole('button', { name: 'Unlink alice from the identity provider' }).waitFor({ state: 'detached' });
	await admin.leave();
	await alice.page.reload();
	await alice.page.getByRole('button', { name: 'Sign in', exact: true }).waitFor();
	// The name is an account's, which is nobody's at the provider any more.
	await byProvider();
	await alice.page.getByRole('alert').getByText('There is an account of that name').waitFor();
	alice.expectComplaint(/status of 401/);
});
