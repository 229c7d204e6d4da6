/** The real worker, which builds for kernels that this machine has. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory, program, type Server } from './server';

/** Runs a command where sandboxes work. */
const ROOTED = join(import.meta.dirname, '../../../deploy/rooted');

export class Builder {
	private constructor(
		private readonly child: ChildProcess,
		private readonly words: string[]
	) {}

	static async start(server: Server, name: string): Promise<Builder> {
		const key = join(server.data, `${name}.pem`);
		await promisify(execFile)(program('resplice-worker'), ['keygen', key]);
		const child = spawn(
			ROOTED,
			[
				program('resplice-worker'), 'run', '--server', server.url, '--name', name,
				'--token-file', join(server.data, 'tokens', 'worker.token'),
				'--server-key', join(server.data, 'jobs', 'key.pub'),
				'--key', key, '--cache', cacheDirectory()
			],
			{ stdio: ['ignore', 'pipe', 'pipe'] }
		);
		const words: string[] = [];
		for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => words.push(chunk.toString()));
		return new Builder(child, words);
	}

	/** Ends it, for which it drops its job; fails with what it said if it ended by itself. */
	async stop(): Promise<void> {
		if (this.child.exitCode !== null) throw new Error(`the worker has ended: ${this.words.join('')}`);
		const gone = new Promise((done) => this.child.once('exit', done));
		this.child.kill();
		await gone;
	}
}
