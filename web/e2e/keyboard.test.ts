/** Everything can be done without a mouse. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser } from './stage/browser';
import { PATCHES } from './stage/scene';
import { Server } from './stage/server';

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

it('signs in, uploads and opens an update by keyboard alone', async () => {
	const person = await Person.at(browser, server);
	const { page } = person;
	await page.goto('/');
	await page.getByLabel('Password').waitFor();
	await tabTo(page, /Use a token/);
	await page.keyboard.press('Enter');
	await tabTo(page, /^Token/);
	await page.keyboard.insertText(await server.token('team'));
	await page.keyboard.press('Enter');
	await page.getByRole('navigation', { name: 'Main' }).waitFor();

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
