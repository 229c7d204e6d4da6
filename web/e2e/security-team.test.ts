import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser } from './stage/browser';
import { PATCHES } from './stage/scene';
import { Server } from './stage/server';
import { LISTING, STEPS, Worker, report } from './stage/worker';

let server: Server;
let browser: Browser;

beforeAll(async () => {
	[server, browser] = await Promise.all([Server.start(), openBrowser()]);
});
afterAll(async () => {
	await browser?.close();
	await server?.stop();
});

const PATCH = join(import.meta.dirname, '../../tests/patches/kernel-and-module.patch');

it('shows a patch, builds it, and tells how far it is, without a reload', async () => {
	const person = await Person.at(browser, server);
	const { page } = person;
	await person.signIn('team');
	await page.getByRole('link', { name: 'Upload a patch' }).click();

	// The diff is there as soon as the patch is.
	await page.getByLabel('Patch file').setInputFiles(PATCH);
	await page.getByText('+	char *s = enabled').or(page.getByText('enabled live')).first().waitFor();
	expect(await page.getByRole('textbox', { name: 'Name' }).inputValue()).toMatch(/^proc, binfmt_misc: mark/);
	await page.getByRole('textbox', { name: /CVE ids/ }).fill('CVE-2026-72400');
	await page.getByLabel(/6\.1\.0-50-cloud-amd64/).check();
	await page.getByLabel(/Notes/).fill('Both files say live, or neither does.');
	await page.getByRole('button', { name: 'Upload and build' }).click();

	await page.waitForURL(/\/updates\//);
	await page.getByText('Nothing yet.').or(page.getByText('no attempt yet')).first().waitFor();
	await page.getByText('queued', { exact: true }).first().waitFor();

	const worker = await Worker.register(server);
	const attempt = await worker.lease();
	for (const step of STEPS.slice(0, 6)) await attempt.step(step);
	const log = page.getByRole('log');
	await log.getByText('warning:').waitFor();
	expect(await log.getByText('warning:').getAttribute('class')).toContain('yellow');
	await page.getByText('running', { exact: true }).first().waitFor();

	for (const step of STEPS.slice(6)) await attempt.step(step);
	await attempt.list(LISTING);
	await attempt.finish({ status: 'built', report: report(attempt.lease.update.id, attempt.lease.target) });
	await page.getByText('built', { exact: true }).first().waitFor();
	await page.getByRole('table').getByText('bm_status_read', { exact: true }).first().waitFor();
	await page.getByText('23 of 23 functions').first().waitFor();

	await page.getByRole('button', { name: 'Show the instructions of 2 functions' }).press('Enter');
	const load = page.getByRole('region', { name: 'Instructions of loadavg_proc_show' });
	await load.getByRole('row', { name: /^changed .*%d %d\\n".*%d %d live\\n"/ }).waitFor();
	await page.locator('summary', { hasText: 'bm_status_read' }).press('Enter');
	const status = page.getByRole('region', { name: 'Instructions of bm_status_read' });
	await status.getByRole('row', { name: /^added .*add \$0x5,%rdx$/ }).waitFor();
	// It leads to the same instruction, which has moved.
	await status.getByRole('row', { name: /^0x\w+ je → 0x1d 0x\w+ je → 0x21$/ }).waitFor();
	await person.leave();
});

it('says which line of a text is no patch, and loses nothing that was typed', async () => {
	const person = await Person.at(browser, server);
	const { page } = person;
	await person.signIn('team');
	await page.goto('/upload');
	await page.getByRole('textbox', { name: /^Patch/ }).fill('Dear team,\nhere is no diff.\n');
	await page.getByText(/No changed file/).waitFor();
	const broken = (await readFile(PATCH, 'utf8')).replace('@@ -17,7 +17,7 @@', '@@ -17,9 +17,7 @@');
	await page.getByRole('textbox', { name: /^Patch/ }).fill(broken);
	await page.getByLabel(/6\.1\.0-50-cloud-amd64/).check();
	await page.getByRole('button', { name: 'Upload and build' }).click();
	await page.getByRole('alert').getByText(/Line \d+ of the patch/i).waitFor();
	expect(await page.getByRole('textbox', { name: 'Name' }).inputValue()).not.toBe('');
	person.expectComplaint(/status of 4\d\d/);
	await person.leave();
});

it('takes several patches, each as an update of its own', async () => {
	const person = await Person.at(browser, server);
	const { page } = person;
	await person.signIn('team');
	await page.goto('/upload');
	const files = ['fs-loadavg.patch', 'kernel-fscaps.patch', 'kernel-and-module.patch'];
	await page.getByLabel('Patch files').setInputFiles(files.map((file) => join(PATCHES, file)));
	const series = page.getByRole('region', { name: 'Series' });
	await series.getByText('kernel-and-module.patch').waitFor();
	await page.getByRole('button', { name: 'Leave out kernel-and-module.patch' }).click();
	await page.getByLabel(/6\.1\.0-50-cloud-amd64/).check();
	await page.getByRole('button', { name: 'Upload and build, then the next' }).click();
	await series.getByText('uploaded').waitFor();
	expect(await page.getByRole('textbox', { name: 'Name' }).inputValue()).toMatch(/fscaps/);
	expect(await page.getByLabel(/6\.1\.0-50-cloud-amd64/).isChecked()).toBe(true);
	await page.getByRole('button', { name: 'Upload and build', exact: true }).click();
	await page.getByRole('heading', { name: 'Updates', exact: true }).waitFor();
	await page.getByText(/fscaps/).first().waitFor();
	await page.getByText(/load average/).first().waitFor();
	await person.leave();
});
