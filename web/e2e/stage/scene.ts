/** A server with some life in it: updates in several states, hosts, reports. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Host } from './host';
import { TARGETS, targetId, type Server } from './server';
import { STEPS, Worker, heading } from './worker';

export const PATCHES = join(import.meta.dirname, '../../../tests/patches');

export interface Scene {
	built: string;
	failed: string;
	running: string;
	released: string;
	/** The host that refused an update. */
	host: string;
}

interface Upload {
	name: string;
	patch: string;
	cves: string[];
	notes: string;
	targets: string[];
}

/** Uploads a patch of tests/patches as the security team; the answer is its id. */
export async function upload(server: Server, file: string, rest: Partial<Upload> = {}): Promise<string> {
	const patch = await readFile(join(PATCHES, file), 'utf8');
	const subject = /^Subject: (.*)$/m.exec(patch)?.[1] ?? file;
	const answer = await server.call('team', 'POST', '/updates', {
		name: subject, patch, cves: [], notes: '', targets: TARGETS.slice(0, 1).map(targetId), ...rest
	});
	return ((await answer.json()) as { id: string }).id;
}

/** Half of the hosts at once, all of them within a day. */
export const CAREFUL = {
	name: 'careful',
	steps: [{ after_s: 0, share: 500 }, { after_s: 6 * 3600, share: 750 }, { after_s: 24 * 3600, share: 1000 }],
	gate: { failed: { hosts: 3, share: 100 }, crashed: { hosts: 1 }, silent_after_s: 3600 }
};

/** Ten hosts of two kernels, in groups. */
async function enrolFleet(server: Server): Promise<Host[]> {
	const names = ['web-01', 'web-03', 'web-04', 'web-05', 'db-01', 'web-02', 'db-02', 'db-03', 'build-07', 'build-08'];
	const hosts: Host[] = [];
	for (const name of names) {
		const host = await Host.enrol(server, `${name}.example`, TARGETS[name.startsWith('build') ? 1 : 0]!);
		const groups = { web: ['frontends'], db: ['databases', 'frankfurt'], build: [] }[name.split('-')[0] as 'web'];
		await server.call('engineer', 'POST', `/hosts/${host.id}/groups`, { groups });
		hosts.push(host);
	}
	return hosts;
}

export async function setScene(server: Server): Promise<Scene> {
	const worker = await Worker.register(server);
	const released = await upload(server, 'fs-loadavg.patch', { cves: ['CVE-2026-68300'] });
	await worker.build();
	const hosts = await enrolFleet(server);
	await server.call('engineer', 'POST', '/wave-plans', CAREFUL);
	await server.call('engineer', 'POST', `/updates/${released}/release`, {
		channel: 'stable', comment: 'Read it twice; fine.', plan: CAREFUL.name
	});
	const offered: Host[] = [];
	for (const host of hosts) if ((await host.poll()).includes(released)) offered.push(host);
	const refusing = offered.pop()!;
	for (const [index, host] of offered.entries()) await host.report(released, 'applied', '', 38_120 + 41_000 * index);
	await refusing.report(released, 'refused', 'loadavg_proc_show is held by a kernel livepatch', undefined, 'livepatch');
	await server.call('engineer', 'POST', '/groups/databases/freeze', { reason: 'quarter’s end' });

	const failed = await upload(server, 'does-not-apply.patch', { cves: ['CVE-2026-74284'] });
	const attempt = await worker.lease();
	await attempt.log(heading('patch') + 'patching file fs/proc/loadavg.c\n\x1b[1;31mHunk #1 FAILED at 20.\x1b[0m\n');
	await attempt.finish({ status: 'failed', exit_code: 1, reason: 'the patch does not apply to 6.1.176-1: fs/proc/loadavg.c, hunk 1' });

	const built = await upload(server, 'kernel-and-module.patch', {
		cves: ['CVE-2026-72400', 'CVE-2026-72401'],
		notes: 'Both files say live, or neither does.',
		targets: TARGETS.slice(0, 2).map(targetId)
	});
	await worker.build();
	await worker.build();

	await server.call('admin', 'POST', '/archive/look');
	await server.archive.add('6.1.0-55-cloud-amd64', '6.1.190-1');
	await server.archive.add('6.1.0-56-cloud-amd64', '6.1.192-2');
	await server.call('admin', 'POST', '/archive/look');
	await server.call('admin', 'POST', '/imports', { target: targetId('6.1.0-56-cloud-amd64') });
	await server.call('admin', 'POST', `/targets/${targetId(TARGETS[2]!)}/retire`, { reason: 'no host runs it any more' });

	const running = await upload(server, 'kernel-fscaps.patch');
	const now = await worker.lease();
	for (const step of STEPS.slice(0, 4)) await now.step(step);
	return { built, failed, running, released, host: refusing.id };
}
