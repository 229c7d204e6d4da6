/** Text from outside is shown as text, wherever it comes from. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser } from './stage/browser';
import { Host } from './stage/host';
import { CAREFUL } from './stage/scene';
import { TARGETS, Server, targetId } from './stage/server';
import { Worker, heading, report } from './stage/worker';

let server: Server;
let browser: Browser;
let person: Person;
let update: string;
let host: Host;

/** Would run a script, and leave an element to find, if it were taken for markup. */
const evil = (where: string) => `<img/src=x/data-evil="${where}"/onerror=alert(1)>`;

/** With a path that the server would not take. */
const patch = (path: string) => `Subject: ${evil('subject')}

${evil('preamble')}
--- a/${path}
+++ b/${path}
@@ -1,2 +1,2 @@ ${evil('hunk')}
 a
-b
+${evil('line')}
`;

beforeAll(async () => {
	[server, browser] = await Promise.all([Server.start(), openBrowser()]);
	const uploaded = await server.call('team', 'POST', '/updates', {
		name: evil('name'), patch: patch('fs/pipe.c'), cves: ['CVE-2026-72400'], notes: evil('notes'), targets: [targetId(TARGETS[0]!)]
	});
	update = ((await uploaded.json()) as { id: string }).id;
	const worker = await Worker.register(server, evil('worker'));
	const attempt = await worker.lease();
	await attempt.step({ name: evil('step'), millis: 3, log: `\x1b[31m${evil('log')}\x1b[0m\n` });
	await attempt.log(heading(evil('heading')) + `${evil('plain-log')}\n`);
	const text = JSON.stringify(report(update, targetId(TARGETS[0]!)))
		.replaceAll('bm_status_read', JSON.stringify(evil('function')).slice(1, -1))
		.replaceAll('its code has another size', JSON.stringify(evil('why')).slice(1, -1))
		.replaceAll('a message that programs', JSON.stringify(evil('finding')).slice(1, -1));
	await attempt.finish({ status: 'built', reason: evil('reason'), report: JSON.parse(text) });
	await server.call('engineer', 'POST', '/wave-plans', CAREFUL);
	await server.call('engineer', 'POST', `/updates/${update}/release`, { comment: evil('comment'), plan: CAREFUL.name });
	await server.call('engineer', 'POST', `/updates/${update}/halt`, { reason: evil('halt') });
	host = await Host.enrol(server, evil('host'), TARGETS[0]!);
	await host.report(update, 'refused', evil('detail'));
	await server.call('engineer', 'POST', '/groups/odd/freeze', { reason: evil('freeze') });
	person = await Person.at(browser, server);
	await person.signIn('team');
});
afterAll(async () => {
	await person?.leave();
	await browser?.close();
	await server?.stop();
});

async function shownAsText(...places: string[]) {
	for (const place of places) await person.page.getByText(evil(place)).first().waitFor();
	expect(await person.page.locator('[data-evil]').count()).toBe(0);
}

it('a patch and its description', async () => {
	await person.page.goto(`/updates/${update}`);
	await shownAsText('preamble', 'hunk', 'line');
});

it('a patch, its subject and its file names before it is uploaded', async () => {
	await person.page.goto('/upload');
	await person.page.getByRole('textbox', { name: /^Patch/ }).fill(patch(`fs/${evil('file')}.c`));
	await shownAsText('preamble', 'file', 'line');
	expect(await person.page.getByRole('textbox', { name: 'Name' }).inputValue()).toBe(evil('subject'));
});

it('an update’s name and notes', async () => {
	await person.page.goto('/');
	await shownAsText('name');
	await person.page.goto(`/updates/${update}`);
	await shownAsText('name', 'notes');
	expect(await person.page.title()).toContain(evil('name'));
});

it('a log, its headings, and the reason at its end', async () => {
	await person.page.goto(`/updates/${update}`);
	await shownAsText('log', 'plain-log', 'heading', 'reason');
});

it('a report', async () => {
	await person.page.goto(`/updates/${update}`);
	await shownAsText('function', 'why', 'finding');
});

it('a release’s comment and a worker’s name', async () => {
	await person.page.goto(`/updates/${update}`);
	await shownAsText('comment', 'worker');
});

it('a host’s name and what it reports', async () => {
	await person.page.goto(`/updates/${update}`);
	await shownAsText('host', 'detail');
	await person.page.goto('/hosts');
	await shownAsText('host', 'freeze');
	await person.page.goto(`/hosts/${host.id}`);
	await shownAsText('host', 'name', 'detail');
	expect(await person.page.title()).toContain(evil('host'));
});

it('the fleet, and why a rollout was halted', async () => {
	await person.page.goto('/fleet');
	await shownAsText('name');
	await person.page.goto('/waves');
	await shownAsText('name', 'halt');
});

it('a CVE id, which the server would not take like this', async () => {
	await person.page.route('**/api/v1/updates/*', async (route) => {
		const response = await route.fetch();
		await route.fulfill({ response, body: (await response.text()).replaceAll('CVE-2026-72400', evil('cve').replaceAll('"', '\\"')) });
	});
	await person.page.goto(`/updates/${update}`);
	await shownAsText('cve');
	await person.page.unrouteAll({ behavior: 'ignoreErrors' });
});

it('why the archive can’t be read, a kernel not imported, and one retired', async () => {
	const admin = await Person.at(browser, server);
	await server.call('admin', 'POST', `/targets/${targetId(TARGETS[1]!)}/retire`, { reason: evil('retired') });
	await server.archive.breakDown(evil('archive'));
	await server.call('admin', 'POST', '/archive/look');
	await admin.signIn('admin');
	await admin.page.goto('/admin');
	for (const place of ['retired', 'archive']) await admin.page.getByText(evil(place)).first().waitFor();
	expect(await admin.page.locator('[data-evil]').count()).toBe(0);
	await admin.leave();
});

it('runs no script but its own', async () => {
	const policy = (await fetch(server.url)).headers.get('content-security-policy') ?? '';
	const directives = new Map(policy.split(';').map((part) => {
		const [name, ...sources] = part.trim().split(' ');
		return [name, sources] as const;
	}));
	expect(directives.get('default-src')).toEqual(["'none'"]);
	expect(directives.get('frame-ancestors')).toEqual(["'none'"]);
	for (const source of directives.get('script-src') ?? []) expect(source).toMatch(/^'(self|sha256-[\w+/=]+)'$/);
	for (const source of directives.get('style-src') ?? []) expect(source).toMatch(/^'(self|sha256-[\w+/=]+)'$/);

	await person.page.goto('/');
	const refused = await person.page.evaluate(() => new Promise<string>((resolve) => {
		document.addEventListener('securitypolicyviolation', (event) => resolve(event.violatedDirective));
		const script = document.createElement('script');
		script.textContent = 'document.title = "owned"';
		document.body.append(script);
	}));
	expect(refused).toBe('script-src-elem');
	person.expectComplaint(/Executing inline script|inline script/);
});
