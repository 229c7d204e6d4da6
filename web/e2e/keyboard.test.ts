/** Everything can be done without a mouse. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser } from './stage/browser';
import { Host } from './stage/host';
import { CAREFUL, PATCHES, upload } from './stage/scene';
import { Server, TARGETS } from './stage/server';
import { Worker } from './stage/worker';

let server: Server;
let browser: Browser;

beforeAll(async () => {
	[server, browser] = await Promise.all([Server.start(), openBrowser()]);
});
afterAll(async () => {
	await browser?.close();
	await server?.stop();
});

/** Presses Tab until what has the focus is called like this; a person would give up too. */
async function tabTo(page: Page, name: RegExp): Promise<void> {
	const seen: string[] = [];
	for (let presses = 0; presses < 60; presses++) {
		const focused = await page.evaluate(() => {
			const element = document.activeElement as HTMLInputElement | null;
			const label = element?.labels?.[0]?.innerText ?? element?.getAttribute('aria-label') ?? element?.textContent;
			const outlined = element ? getComputedStyle(element).outlineStyle !== 'none' : false;
			return { tag: element?.tagName ?? '', label: label ?? '', outlined };
		});
		if (focused.tag !== 'BODY' && name.test(focused.label)) {
			expect(focused.outlined, `${focused.label} shows that it has the focus`).toBe(true);
			return;
		}
		seen.push(focused.label.slice(0, 30));
		await page.keyboard.press('Tab');
	}
	throw new Error(`Tab does not lead to ${name}, only to ${seen.join(' | ')}`);
}

async function signIn(page: Page, role: 'team' | 'engineer'): Promise<void> {
	await page.goto('/');
	await page.getByLabel('Password').waitFor();
	await tabTo(page, /Use a token/);
	await page.keyboard.press('Enter');
	await tabTo(page, /^Token/);
	await page.keyboard.insertText(await server.token(role));
	await page.keyboard.press('Enter');
	await page.getByRole('navigation', { name: 'Main' }).waitFor();
}

it('signs in, uploads and opens an update by keyboard alone', async () => {
	const person = await Person.at(browser, server);
	const { page } = person;
	await signIn(page, 'team');

	await tabTo(page, /Upload a patch/);
	await page.keyboard.press('Enter');
	await page.waitForURL('**/upload');
	await page.getByText('6.1.0-50-cloud-amd64').first().waitFor();
	await tabTo(page, /^Patch/);
	await page.keyboard.insertText(await readFile(join(PATCHES, 'fs-loadavg.patch'), 'utf8'));
	await tabTo(page, /6\.1\.0-50-cloud-amd64/);
	await page.keyboard.press('Space');
	await tabTo(page, /Upload and build/);
	await page.keyboard.press('Enter');
	await page.waitForURL('**/updates/*');
	await page.getByRole('heading', { level: 1 }).waitFor();
	await person.leave();
});

it('reads a log, releases in waves and halts by keyboard alone', async () => {
	const worker = await Worker.register(server);
	await worker.build();
	await upload(server, 'kernel-fscaps.patch');
	await worker.build();
	await Host.enrol(server, 'a.example', TARGETS[0]!);
	await server.call('engineer', 'POST', '/wave-plans', CAREFUL);
	const person = await Person.at(browser, server);
	const { page } = person;
	await signIn(page, 'engineer');
	await tabTo(page, /ksysfs: mark/);
	await page.keyboard.press('Enter');
	await page.waitForURL('**/updates/*');
	await page.getByRole('heading', { level: 1 }).waitFor();

	// The log scrolls by keys, and its steps fold.
	await tabTo(page, /^Build log/);
	await page.keyboard.press('End');
	await page.getByRole('log').getByText('signed by builder-1').waitFor();

	await page.reload();
	await page.getByRole('heading', { name: 'Release' }).waitFor();
	await tabTo(page, /^edge/);
	await page.keyboard.press('ArrowDown');
	await tabTo(page, /^Rollout/);
	await page.keyboard.press('ArrowDown');
	await tabTo(page, /^Comment/);
	await page.keyboard.insertText('Read it, keys alone.');
	await tabTo(page, /I have read/);
	await page.keyboard.press('Space');
	await tabTo(page, /^Release to candidate/);
	await page.keyboard.press('Enter');
	const rollout = page.getByRole('region', { name: /^Rollout of/ });
	await rollout.getByText('in waves').waitFor();

	await tabTo(page, /^Halt/);
	await page.keyboard.press('Enter');
	await page.getByRole('dialog').waitFor();
	await tabTo(page, /^Reason/);
	await page.keyboard.insertText('Not on a Friday.');
	await tabTo(page, /^Halt it/);
	await page.keyboard.press('Enter');
	await rollout.getByText(/Halted: Not on a Friday/).waitFor();
	await person.leave();
});
