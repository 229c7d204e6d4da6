/** The release engineer's way: read, release in waves, halt, resume. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser, picture } from './stage/browser';
import { Host } from './stage/host';
import { upload } from './stage/scene';
import { TARGETS, Server } from './stage/server';
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

it('rejects what it would not run itself, and whoever uploaded it reads why', async () => {
	const worker = await Worker.register(server, 'builder-0');
	const update = await upload(server, 'pipe-read.patch');
	await worker.build();
	const engineer = await Person.at(browser, server);
	await engineer.signIn('engineer');
	await engineer.page.goto(`/updates/${update}`);
	await engineer.page.getByRole('button', { name: 'Reject' }).click();
	const question = engineer.page.getByRole('dialog');
	expect(await question.getByRole('button', { name: 'Reject it' }).isDisabled()).toBe(true);
	await question.getByLabel(/^Reason/).fill('The check belongs to the caller.');
	await question.getByRole('button', { name: 'Reject it' }).click();
	await engineer.page.getByRole('region', { name: 'Rejected' }).getByText('The check belongs').waitFor();
	expect(await engineer.page.getByRole('button', { name: /^Release to/ }).count()).toBe(0);
	await engineer.page.getByRole('listitem', { name: 'rejected by engineer' }).waitFor();
	await picture(engineer.page, 'update-rejected-desktop-light');
	await engineer.leave();

	const team = await Person.at(browser, server);
	await team.signIn('team');
	await team.page.getByRole('link', { name: /^pipe: refuse a read/ }).getByText('rejected', { exact: true }).waitFor();
	await team.page.goto(`/updates/${update}`);
	await team.page.getByRole('region', { name: 'Rejected' }).getByText('The check belongs').waitFor();
	await team.leave();
});

it('makes a plan, releases by it, halts with a reason, resumes, and takes it back', async () => {
	const worker = await Worker.register(server);
	const update = await upload(server, 'fs-loadavg.patch', { cves: ['CVE-2026-68300'] });
	await worker.build();
	const hosts: Host[] = [];
	for (const name of ['a', 'b', 'c', 'd']) hosts.push(await Host.enrol(server, `${name}.example`, TARGETS[0]!));
	const person = await Person.at(browser, server);
	const { page } = person;
	await person.signIn('engineer');

	await page.getByRole('link', { name: 'Waves' }).click();
	await page.getByRole('button', { name: 'New plan' }).click();
	await page.getByLabel('Name').fill('slow');
	await page.getByLabel(/^Steps/).fill('50% at 0\n100% at 0');
	await page.getByText('does not go beyond').waitFor();
	expect(await page.getByRole('button', { name: 'Save the plan' }).isDisabled()).toBe(true);
	await page.getByLabel(/^Steps/).fill('50% at 0\n100% at 6h');
	await page.getByRole('button', { name: 'Save the plan' }).click();
	await page.getByText('50 % at once, all after 6 h').waitFor();

	await page.goto(`/updates/${update}`);
	await page.getByLabel('stable').check();
	await page.getByLabel('Rollout', { exact: true }).selectOption('slow');
	await page.getByLabel(/^Comment/).fill('Read, and tried on my own machine.');
	await page.getByLabel(/I have read/).check();
	await page.getByRole('button', { name: 'Release to stable' }).click();
	const rollout = page.getByRole('region', { name: /^Rollout of/ });
	await rollout.getByText('in waves').waitFor();
	let offered = 0;
	for (const host of hosts) {
		if (!(await host.poll()).includes(update)) continue;
		await host.report(update, 'applied', '', 41_000);
		offered += 1;
	}
	expect(offered).toBe(2);
	await rollout.getByText(/Now 2 of 4 hosts run it/).or(rollout.getByRole('img', { name: /Now 2 of 4 hosts run it/ })).waitFor();

	await rollout.getByRole('button', { name: 'Halt' }).click();
	const question = page.getByRole('dialog');
	expect(await question.evaluate((dialog) => dialog.contains(document.activeElement))).toBe(true);
	await page.keyboard.press('Escape');
	await question.waitFor({ state: 'detached' });
	await rollout.getByRole('button', { name: 'Halt' }).click();
	await question.getByLabel(/^Reason/).fill('b.example is slow since');
	await picture(page, 'halt-desktop-light');
	await question.getByRole('button', { name: 'Halt it' }).click();
	await rollout.getByText(/Halted: b\.example is slow since/).waitFor();
	for (const host of hosts.slice(0, 4)) await host.poll();

	await rollout.getByRole('button', { name: 'Resume' }).click();
	await question.getByRole('button', { name: 'Resume it' }).click();
	await rollout.getByText('in waves').waitFor();

	await page.getByRole('button', { name: 'Show what went in' }).click();
	await page.getByText('linux-source-6.1 6.1.176-1').waitFor();
	await page.getByRole('button', { name: 'Revoke and undo' }).click();
	await question.getByLabel(/^Reason/).fill('it reads too far');
	await question.getByRole('button', { name: 'Revoke and undo it' }).click();
	await page.getByRole('region', { name: 'Revoked' }).getByText('it reads too far').waitFor();
	await page.getByText('hosts undo it', { exact: true }).waitFor();
	await person.leave();
});
