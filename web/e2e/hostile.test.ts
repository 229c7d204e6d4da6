/** Text from outside is shown as text, wherever it comes from. */
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Person, openBrowser } from './stage/browser';
import { Host } from './stage/host';
import { CAREFUL, PATCHES } from './stage/scene';
import { TARGETS, Server, targetId } from './stage/server';
import { LISTING, Worker, heading, report } from './stage/worker';

let server: Server;
let browser: Browser;
let person: Person;
let update: string;
let host: Host;
let vendorToken: string;

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
	await attempt.list(LISTING);
	await attempt.finish({ status: 'built', reason: evil('reason'), report: JSON.parse(text) });
	await server.call('engineer', 'POST', '/wave-plans', CAREFUL);
	await server.call('engineer', 'POST', `/updates/${update}/release`, { comment: evil('comment'), plan: CAREFUL.name });
	await server.call('engineer', 'POST', `/updates/${update}/halt`, { reason: evil('halt') });
	host = await Host.enrol(server, evil('host'), TARGETS[0]!);
	await host.report(update, 'refused', evil('detail'));
	await server.call('engineer', 'POST', '/groups/odd/freeze', { reason: evil('freeze') });
	const made = await server.call('admin', 'POST', '/tokens', { name: 'northwind', role: 'vendor' });
	vendorToken = ((await made.json()) as { token: string }).token;
	await server.call({ token: vendorToken }, 'POST', '/webhooks', { url: 'https://hooks.example/told', events: [] });
	await server.call('admin', 'POST', '/users', { name: 'mallory', roles: ['team'] });
	await server.call('engineer', 'POST', `/hosts/${host.id}/groups`, { groups: ['odd'] });
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

/**
 * Texts in answers that the server itself would not hold like this, put there on
 * their way: whatever the server lets in later, the pages show it as text.
 */
interface Planted {
	what: string;
	as: 'team' | 'engineer' | 'admin' | 'vendor';
	page: () => string;
	/** Which answers are changed, and how. */
	answers: string;
	plant: (body: string) => string;
	/** Opens what is closed at first. */
	open?: (page: Page) => Promise<void>;
}

type Json = Record<string, unknown>;

/** Changes all entries of a list in an answer. */
const each = (list: string, change: (entry: Json) => Json) => (body: string) => {
	const answer = JSON.parse(body) as Record<string, Json[]>;
	return JSON.stringify({ ...answer, [list]: answer[list]!.map(change) });
};
const whole = (change: (answer: Json) => Json) => (body: string) => JSON.stringify(change(JSON.parse(body) as Json));

/** Changes the statement in a signed envelope, which the page does not verify. */
const statement = (change: (text: string) => string) => whole((envelope) => ({
	...envelope, payload: Buffer.from(change(Buffer.from(envelope.payload as string, 'base64').toString())).toString('base64')
}));

const open = (name: string | RegExp) => (page: Page) => page.getByRole('button', { name }).click();
const paste = (page: Page) => page.getByLabel('Patch files').setInputFiles(join(PATCHES, 'fs-loadavg.patch'));
const quoted = (where: string) => JSON.stringify(evil(where)).slice(1, -1);
const ofUpdate = { page: () => `/updates/${update}`, answers: '**/api/v1/updates/*' };

const PLANTED: Planted[] = [
	{ ...ofUpdate, what: 'cve', as: 'team', plant: (body) => body.replaceAll('CVE-2026-72400', quoted('cve')) },
	{ ...ofUpdate, what: 'uploader', as: 'team', plant: whole((answer) => ({ ...answer, uploaded_by: evil('uploader') })) },
	{
		...ofUpdate, what: 'failure', as: 'team',
		plant: each('jobs', (job) => ({ ...job, status: 'failed', reason: evil('failure') }))
	},
	{ ...ofUpdate, what: 'target', as: 'team', plant: each('jobs', (job) => ({ ...job, target: evil('target') })) },
	{ ...ofUpdate, what: 'approval', as: 'team', plant: each('promotions', (promotion) => ({ ...promotion, comment: evil('approval') })) },
	{ ...ofUpdate, what: 'approver', as: 'team', plant: each('promotions', (promotion) => ({ ...promotion, by: evil('approver') })) },
	{
		...ofUpdate, what: 'revoked', as: 'team',
		plant: whole((answer) => ({ ...answer, revoked: { by: 'eve', at: answer.created_at, reason: evil('revoked'), undo: true } }))
	},
	{
		...ofUpdate, what: 'rejected', as: 'team',
		plant: whole((answer) => ({ ...answer, rejected: { by: 'eve', at: answer.created_at, reason: evil('rejected') } }))
	},
	{
		what: 'reached-file', as: 'team', page: () => '/upload', answers: '**/api/v1/patches/reach',
		plant: each('files', (file) => ({ ...file, path: evil('reached-file') })), open: paste
	},
	{
		what: 'miss', as: 'team', page: () => '/upload', answers: '**/api/v1/patches/reach',
		plant: each('targets', (target) => ({ ...target, known: true, misses: [evil('miss')] })), open: paste
	},
	{
		what: 'patched-file', as: 'team', page: () => `/updates/${update}`, answers: '**/api/v1/updates/*/patch',
		plant: (body) => body.replaceAll('fs/pipe.c', `fs/${evil('patched-file')}`)
	},
	{
		what: 'provenance-name', as: 'team', page: () => `/updates/${update}`, answers: '**/api/v1/packages/*/provenance',
		plant: statement((text) => text.replaceAll('linux-source-6.1 6.1.176-1', quoted('provenance-name'))), open: open('Show what went in')
	},
	{
		what: 'builder', as: 'team', page: () => `/updates/${update}`, answers: '**/api/v1/packages/*/provenance',
		plant: statement((text) => text.replace(/"builder":\s*\{\s*"id":\s*"[^"]*"/, `"builder":{"id":"${quoted('builder')}"`)),
		open: open('Show what went in')
	},
	...(['name', 'unit', 'object'] as const).map((key) => ({
		what: `code-${key}`, as: 'team' as const, page: () => `/updates/${update}`, answers: '**/api/v1/jobs/*/listing',
		plant: each('functions', (code) => ({ ...code, [key]: evil(`code-${key}`) })), open: open(/^Show the .*instructions/)
	})),
	{
		what: 'instruction', as: 'team', page: () => `/updates/${update}`, answers: '**/api/v1/jobs/*/listing',
		plant: (body) => body.replaceAll('call seq_printf', quoted('instruction')).replaceAll('%d live', 'live'), open: open(/^Show the .*instructions/)
	},
	{ what: 'group', as: 'team', page: () => '/hosts', answers: '**/api/v1/groups', plant: each('groups', (group) => ({ ...group, name: evil('group') })) },
	{ what: 'host-group', as: 'team', page: () => '/hosts', answers: '**/api/v1/hosts?*', plant: each('hosts', (host) => ({ ...host, groups: [evil('host-group')] })) },
	{ what: 'actor', as: 'admin', page: () => '/audit', answers: '**/api/v1/audit?*', plant: each('entries', (entry) => ({ ...entry, actor: evil('actor') })) },
	{ what: 'object', as: 'admin', page: () => '/audit', answers: '**/api/v1/audit?*', plant: each('entries', (entry) => ({ ...entry, object: evil('object') })) },
	{ what: 'user', as: 'admin', page: () => '/admin/people', answers: '**/api/v1/users?*', plant: each('users', (user) => ({ ...user, name: user.name === 'mallory' ? evil('user') : user.name })) },
	{ what: 'token', as: 'admin', page: () => '/admin/people', answers: '**/api/v1/tokens?*', plant: each('tokens', (token) => ({ ...token, name: evil('token') })) },
	{ what: 'webhook', as: 'vendor', page: () => '/feeds', answers: '**/api/v1/webhooks', plant: each('webhooks', (hook) => ({ ...hook, url: evil('webhook') })) },
	{
		what: 'webhook-fault', as: 'vendor', page: () => '/feeds', answers: '**/api/v1/webhooks',
		plant: each('webhooks', (hook) => ({ ...hook, disabled: { at: hook.created_at, reason: evil('webhook-fault') } }))
	}
];

it.each(PLANTED)('$what, which the server would not take like this', async ({ what, as, page: path, answers, plant, open }) => {
	const reader = as === 'team' ? person : await Person.at(browser, server);
	if (reader !== person) await reader.signIn(as === 'vendor' ? { token: vendorToken } : as);
	const { page } = reader;
	await page.route(answers, async (route) => {
		const response = await route.fetch();
		await route.fulfill({ response, body: plant(await response.text()) });
	});
	await page.goto(path());
	if (open) await open(page);
	await page.getByText(evil(what)).filter({ visible: true }).first().waitFor();
	expect(await page.locator('[data-evil]').count()).toBe(0);
	await page.unrouteAll({ behavior: 'ignoreErrors' });
	if (reader !== person) await reader.leave();
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
