/** A host that plays its part over the real HTTP API. */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { Server } from './server';

export class Host {
	private constructor(
		private readonly server: Server,
		readonly id: string,
		private readonly token: string
	) {}

	static async enrol(server: Server, name: string, release: string): Promise<Host> {
		const pair = generateKeyPairSync('ed25519');
		const der = pair.publicKey.export({ type: 'spki', format: 'der' });
		const publicKey = der.subarray(12).toString('hex');
		const target = `debian:${release}`;
		const now = new Date();
		const lines = ['resplice enrolment 1', name, publicKey, release, target, '-', `${now.getTime()}000`];
		const proof = sign(null, Buffer.from(lines.map((line) => `${line}\n`).join('')), pair.privateKey);
		const answer = await server.call('enrol', 'POST', '/hosts/enrol', {
			name, release, target, public_key: publicKey,
			at: now.toISOString(), signature: proof.toString('hex')
		});
		const enrolled = (await answer.json()) as { host_id: string; token: string };
		return new Host(server, enrolled.host_id, enrolled.token);
	}

	/** Asks what it should run: ids of updates. */
	async poll(): Promise<string[]> {
		const answer = await this.server.call({ token: this.token }, 'GET', `/hosts/${this.id}/plan`);
		const plan = (await answer.json()) as { updates: { update_id: string }[] };
		return plan.updates.map(({ update_id }) => update_id);
	}

	async report(update: string, event: string, detail = '', pause_ns?: number, code?: string): Promise<void> {
		const now = new Date().toISOString();
		await this.server.call({ token: this.token }, 'POST', `/hosts/${this.id}/reports`, {
			update_id: update, event, detail, pause_ns, code,
			timeline: [
				{ name: 'fetch', started_at: now, millis: 84, exit_code: 0 },
				{ name: 'load', started_at: now, millis: 31, exit_code: event === 'applied' ? 0 : 1 }
			]
		});
	}
}
