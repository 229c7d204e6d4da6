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

export async function setScene(server: Server): Promise<Scene> {
	const worker = await Worker.register(server);
	const released = await upload(server, 'fs-loadavg.patch', { cves: ['CVE-2026-68300'] });
	await worker.build();
	await server.call('engineer', 'POST', `/updates/${released}/release`, { comment: 'Read it twice; fine.' });
	const hosts = await Promise.all([
		Host.enrol(server, 'web-01.example', TARGETS[0]!),
		Host.enrol(server, 'web-02.example', TARGETS[0]!),
		Host.enrol(server, 'build-07.example', TARGETS[1]!)
	]);
	await hosts[0].report(released, 'applied', '', 38_120);
	await hosts[1].report(released, 'refused', 'stacked: loadavg_proc_show is held by a kernel livepatch');

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

	const running = await upload(server, 'kernel-fscaps.patch');
	const now = await worker.lease();
	for (const step of STEPS.slice(0, 4)) await now.step(step);
	return { built, failed, running, released };
}
