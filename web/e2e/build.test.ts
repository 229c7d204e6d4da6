/** A patch on its way through the real server and the real worker, into a real kernel, as two people see it. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser, picture } from './stage/browser';
import { Builder } from './stage/builder';
import { PATCHES } from './stage/scene';
import { Server } from './stage/server';

let server: Server;
let builder: Builder;
let browser: Browser;

beforeAll(async () => {
	[server, browser] = await Promise.all([Server.withKernels(), openBrowser()]);
	builder = await Builder.start(server, 'real');
});
afterAll(async () => {
	await browser?.close();
	await builder?.stop();
	await server?.stop();
});

/** Drags a file over the page and lets it go there. */
async function dropFile(page: Page, name: string): Promise<void> {
	const text = await readFile(join(PATCHES, name), 'utf8');
	const dataTransfer = await page.evaluateHandle(
		([name, text]) => {
			const transfer = new DataTransfer();
			transfer.items.add(new File([text], name));
			return transfer;
		},
		[name, text] as [string, string]
	);
	const place = page.getByRole('region', { name: 'Patch' });
	await place.dispatchEvent('dragover', { dataTransfer });
	await place.dispatchEvent('drop', { dataTransfer });
}

/** Compiles, links and boots a machine, on a computer with other things to do. */
const BUILD = { timeout: 500_000 };

it('is uploaded, compiled, tried in a machine, read, released and promoted', { timeout: 600_000 }, async () => {
	const team = await Person.at(browser, server);
	await team.signIn('team');
	await team.page.goto('/upload');
	await team.page.getByLabel('Patch file').setInputFiles(join(PATCHES, 'does-not-apply.patch'));
	await team.page.getByText(/: hunk 1 \(line \d+\) is about other lines$/).first().waitFor();
	await team.page.getByRole('button', { name: 'Take another' }).click();
	await dropFile(team.page, 'fs-loadavg.patch');
	const reach = team.page.getByLabel('What the patch reaches');
	await reach.getByText('fs/proc/loadavg.c').waitFor();
	await team.page.getByText('the patch applies').first().waitFor();
	await picture(team.page, 'upload-reach-desktop-light');
	await team.page.getByLabel(/6\.1\.0-\d+-cloud-amd64/).first().check();
	await team.page.locator('summary', { hasText: /^Check/ }).click();
	await team.page.getByLabel(/^Script/).fill('grep -q live /proc/loadavg');
	await team.page.getByRole('button', { name: 'Upload and build' }).click();
	await team.page.waitForURL(/\/updates\//);
	const log = team.page.getByRole('log');
	await log.getByText(/replaces loadavg_proc_show of fs\/proc\/loadavg\.c/).waitFor(BUILD);
	await team.page.getByText('built', { exact: true }).first().waitFor(BUILD);
	await team.page.getByRole('table').getByText('loadavg_proc_show', { exact: true }).first().waitFor();
	await team.page.getByRole('button', { name: 'Show the function’s instructions' }).click();
	const code = team.page.getByRole('region', { name: 'Instructions of loadavg_proc_show' });
	await code.getByRole('row', { name: /%d %d\\n".*%d %d live\\n"/ }).waitFor();
	await team.page.getByRole('listitem').filter({ hasText: /^with the update fixed/ }).waitFor();
	await picture(team.page, 'update-real-desktop-light');
	const url = team.page.url();
	await team.leave();

	const engineer = await Person.at(browser, server);
	const { page } = engineer;
	await engineer.signIn('engineer');
	await page.goto(url);
	await page.getByRole('log').getByText('==>').first().waitFor();
	await page.getByLabel(/^Comment/).fill('Built and tried by a machine, read by me.');
	await page.getByLabel(/I have read/).check();
	await page.getByRole('button', { name: 'Release to edge' }).click();
	await page.getByText('Released to edge by engineer').waitFor();
	await page.getByLabel('stable').check();
	await page.getByLabel(/I have read/).check();
	await page.getByRole('button', { name: 'Promote to stable' }).click();
	await page.getByText('Promoted to stable by engineer').waitFor();
	expect(await page.getByRole('heading', { name: 'Promote' }).count()).toBe(0);
	await engineer.leave();
});

it('asks for what code can’t show, and takes the answer in the patch’s description', { timeout: 600_000 }, async () => {
	const team = await Person.at(browser, server);
	const { page } = team;
	await team.signIn('team');
	const upload = async (patch: string) => {
		await page.goto('/upload');
		await page.getByLabel('Patch file').setInputFiles(join(PATCHES, patch));
		await page.getByText('the patch applies').first().waitFor();
		await page.getByLabel(/6\.1\.0-\d+-cloud-amd64/).first().check();
		await page.getByRole('button', { name: 'Upload and build' }).click();
		await page.waitForURL(/\/updates\//);
	};
	await upload('data-change.patch');
	await page.getByRole('log').getByText('Resplice-Declare: data-set fs/pipe.c:pipe_max_size (…)').waitFor(BUILD);
	await page.getByText('needs code', { exact: true }).first().waitFor(BUILD);
	await upload('declared-pipe-limit.patch');
	await page.getByText('built', { exact: true }).first().waitFor(BUILD);
	await page.getByText('pipe_max_size (4 of 4 bytes)').waitFor();
	await page.getByRole('heading', { name: 'Declared by the patch’s author' }).waitFor();
	await page.getByText('Gets its new initial contents: nobody sets the limit on these hosts').waitFor();
	await picture(page, 'update-declared-desktop-light');
	await team.leave();
});
