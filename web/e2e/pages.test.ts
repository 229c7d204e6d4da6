import { gzipSync } from 'node:zlib';
import { source } from 'axe-core';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PICTURES, Person, SIZES, openBrowser, picture, type Scheme, type Size } from './stage/browser';
import { setScene, type Scene } from './stage/scene';
import { Server } from './stage/server';

let server: Server;
let browser: Browser;
let scene: Scene;

beforeAll(async () => {
	[server, browser] = await Promise.all([Server.start(), openBrowser()]);
	scene = await setScene(server);
	console.log(`pictures of the pages: ${PICTURES}`);
});
afterAll(async () => {
	await browser?.close();
	await server?.stop();
});

/** Every main page: where it is, and what is there once it is whole. */
const PAGES: [name: string, path: () => string, ready: string][] = [
	['updates', () => '/', 'proc, binfmt_misc: mark'],
	['upload', () => '/upload', '6.1.0-50-cloud-amd64'],
	['update-built', () => `/updates/${scene.built}`, 'loadavg_proc_show'],
	['update-running', () => `/updates/${scene.running}`, 'CC ref'],
	['update-failed', () => `/updates/${scene.failed}`, 'does not apply'],
	['update-released', () => `/updates/${scene.released}`, 'Read it twice'],
	['fleet', () => '/fleet', 'What is in the way'],
	['hosts', () => '/hosts', 'web-02.example'],
	['host', () => `/hosts/${scene.host}`, 'held by a kernel livepatch'],
	['waves', () => '/waves', 'went down with it'],
	['feeds', () => '/feeds', 'provider-metadata.json'],
	['nowhere', () => '/nowhere', 'nothing here']
];

/** The same for those who administer. */
const ADMIN_PAGES: typeof PAGES = [
	['audit', () => '/audit', 'entries, signed by'],
	['admin', () => '/admin', 'Digest of its inputs'],
	['admin-keys', () => '/admin/keys', 'Transparency log'],
	['admin-people', () => '/admin/people', 'for machines']
];

/** Opens what is closed at first. */
async function showCode(page: Page): Promise<void> {
	await page.getByRole('button', { name: /^Show the instructions/ }).click();
	await page.locator('summary', { hasText: 'bm_status_read' }).click();
	await page.getByText('add $0x5,%rdx').first().waitFor();
}

async function violations(person: Person): Promise<string[]> {
	await person.page.evaluate(source);
	return person.page.evaluate(async () => {
		const { axe } = window as unknown as { axe: typeof import('axe-core') };
		const { violations } = await axe.run();
		return violations
			.filter(({ impact }) => impact === 'serious' || impact === 'critical')
			.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html}: ${failureSummary}`));
	});
}

const LOOKS = (Object.keys(SIZES) as Size[]).flatMap((size) =>
	(['light', 'dark'] as Scheme[]).map((scheme) => ({ size, scheme }))
);

describe.each(LOOKS)('on a $size, $scheme', ({ size, scheme }) => {
	// Both schemes and both sizes are tried once each: axe takes its time.
	const isTried = (size === 'desktop') === (scheme === 'light');

	it('pages are whole, fit, and have no serious fault that axe knows', async () => {
		const person = await Person.at(browser, server, size, scheme);
		const { page } = person;
		await page.goto('/');
		await page.getByLabel('Password').waitFor();
		const faults: Record<string, string[]> = { 'sign-in': await violations(person) };
		await picture(page, `sign-in-${size}-${scheme}`);
		const look = async (pages: typeof PAGES) => {
			for (const [name, path, ready] of pages) {
				await page.goto(path());
				await page.getByText(ready).first().waitFor();
				if (name === 'update-built') await showCode(page);
				faults[name] = isTried ? await violations(person) : [];
				const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
				if (wide > 0) faults[name].push(`it is ${wide} pixels wider than the screen`);
				await picture(page, `${name}-${size}-${scheme}`);
			}
		};
		await person.signIn('team');
		await look(PAGES);
		await page.getByRole('button', { name: 'Sign out' }).click();
		await person.signIn('admin');
		await look(ADMIN_PAGES);
		const found = Object.entries(faults).filter(([, list]) => list.length > 0);
		expect(Object.fromEntries(found)).toEqual({});
		person.expectComplaint(/Not found: \/nowhere/);
		await person.leave();
	});
});

/** Most bytes of script and style, as they travel, until a page stands. */
const FIRST_LOAD_BYTES = 150_000;

it('needs little to stand', async () => {
	const person = await Person.at(browser, server);
	const bodies: Promise<Buffer>[] = [];
	person.page.on('response', (response) => {
		if (['script', 'stylesheet'].includes(response.request().resourceType())) bodies.push(response.body());
	});
	await person.signIn('team');
	await person.page.getByText('proc, binfmt_misc: mark').waitFor();
	const bytes = (await Promise.all(bodies)).reduce((sum, body) => sum + gzipSync(body).length, 0);
	console.log(`script and style of the first page: ${bytes} bytes, gzipped`);
	expect(bytes).toBeGreaterThan(10_000);
	expect(bytes).toBeLessThan(FIRST_LOAD_BYTES);
	for (const coding of ['br', 'gzip']) {
		const answer = await fetch(server.url, { headers: { 'accept-encoding': coding } });
		expect(answer.headers.get('content-encoding')).toBe(coding);
		expect(await answer.text()).toContain('<!doctype html>');
	}
	await person.leave();
});
