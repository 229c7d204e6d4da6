/** Reading a log: folds, search, links to lines, and coming back to where one was. */
import type { Browser, Page, Request } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser } from './stage/browser';
import { upload } from './stage/scene';
import { Server } from './stage/server';
import { Worker, heading } from './stage/worker';

/** With 86 bytes each, over 100 MB. */
const LINES = 1_200_000;
const PIECE = 12_000;
const FLAGS = '-DMODULE -ffunction-sections -fdata-sections -O2';

let server: Server;
let browser: Browser;
let person: Person;
let page: Page;
let path: string;

beforeAll(async () => {
	[server, browser] = await Promise.all([Server.start(), openBrowser()]);
	path = `/updates/${await upload(server, 'fs-loadavg.patch')}`;
	const attempt = await (await Worker.register(server)).lease();
	await attempt.step({ name: 'pre', millis: 2100, log: '  CC pre  fs/proc/loadavg.c\n' });
	const compiled = Array.from({ length: LINES }, (_, index) => `  CC [M]  drivers/unit-${index}.o ${FLAGS}\n`);
	await attempt.step({ name: 'post', millis: 61_000, log: '' });
	for (let at = 0; at < LINES; at += PIECE) await attempt.log(compiled.slice(at, at + PIECE).join(''));
	await attempt.log('fs/proc/loadavg.c:20:9: error: too few arguments\n' + heading('the end') + 'last words\n');
	await attempt.finish({ status: 'failed', exit_code: 2, reason: 'the patched source does not compile' });
	person = await Person.at(browser, server);
	await person.signIn('team');
	page = person.page;
});
afterAll(async () => {
	await person?.leave();
	await browser?.close();
	await server?.stop();
});

const log = () => page.getByRole('log');

it('follows to the end of a long log, and draws only what is in view', async () => {
	await page.goto(path);
	await log().getByText('last words').waitFor();
	await page.getByText('complete').waitFor();
	expect(await log().locator('.line').count()).toBeLessThan(100);
});

it('jumps to the first error and links to its line', async () => {
	await page.getByRole('button', { name: 'First error' }).click();
	await log().getByText('error: too few arguments').waitFor();
	await log().getByRole('link', { name: `Line ${LINES + 4}`, exact: true }).click();
	// The browser tells of the new address after the click is done with.
	await page.waitForURL((url) => url.hash === `#L${LINES + 4}`);
	await page.goto('/');
	await page.goto(`${path}#L60004`);
	await log().getByText('drivers/unit-60000.o').waitFor();
	expect(await log().locator('.marked').innerText()).toContain('drivers/unit-60000.o');
});

it('finds words in lines that are not drawn, one after the other', async () => {
	const search = page.getByRole('searchbox', { name: 'Search in the log' });
	await search.fill('UNIT-11999');
	await page.getByText('0 of 111').waitFor();
	await search.press('Enter');
	await log().getByText('drivers/unit-11999.o').waitFor();
	await search.press('Enter');
	await log().getByText('drivers/unit-119990.o').waitFor();

	// The page asks how the build stands all the time; that brings no log anew.
	const logs: string[] = [];
	const note = (request: Request) => void (request.url().includes('/log?') && logs.push(request.url()));
	page.on('request', note);
	for (let polls = 0; polls < 3; polls++) await page.waitForResponse((response) => response.url().endsWith(path));
	page.off('request', note);
	expect(logs).toEqual([]);
	await page.getByText('2 of 111').waitFor();
	await log().getByText('drivers/unit-119990.o').waitFor();
	await search.fill('');
});

it('folds steps to a line with their time', async () => {
	await page.getByRole('button', { name: 'Fold all' }).click();
	await log().getByText('==> post').waitFor();
	await log().getByText('1 min 01 s').waitFor();
	expect(await log().getByText('drivers/unit-0.o').count()).toBe(0);
	await log().getByRole('button', { name: 'Unfold' }).nth(1).click();
	await log().getByText('drivers/unit-0.o').waitFor();
});

it('is where it was after a reload', async () => {
	await page.goto('/');
	await page.goto(path);
	await page.getByText('complete').waitFor();
	await page.getByRole('searchbox', { name: 'Search in the log' }).fill('unit-77777.o');
	await page.getByText('0 of 1').waitFor();
	await page.getByRole('searchbox', { name: 'Search in the log' }).press('Enter');
	await log().getByText('drivers/unit-77777.o').waitFor();
	await page.reload();
	await log().getByText('drivers/unit-77777.o').waitFor();
});

it('comes as a file', async () => {
	const [download] = await Promise.all([
		page.waitForEvent('download'),
		page.getByRole('button', { name: 'Download' }).click()
	]);
	expect(download.suggestedFilename()).toMatch(/-1\.log$/);
});
