/** The real server on loopback, with a data directory of its own. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Archive } from './archive';

export type TokenRole = 'team' | 'engineer' | 'admin' | 'worker' | 'enrol';

/** Kernels that the server knows: records as an import leaves them, without the kernels. */
export const TARGETS = ['6.1.0-50-cloud-amd64', '6.1.0-50-amd64', '6.1.0-47-cloud-amd64'];

export function targetId(release: string): string {
	return `debian:${release}`;
}

export class Server {
	private constructor(
		readonly url: string,
		readonly data: string,
		readonly archive: Archive,
		private readonly child: ChildProcess,
		private readonly directory: string,
		private readonly errors: string[]
	) {}

	/** With records of kernels that nobody can build for. */
	static async start(...flags: string[]): Promise<Server> {
		const directory = await mkdtemp(join(tmpdir(), 'resplice-web-'));
		const cache = join(directory, 'cache');
		for (const release of TARGETS) await importTarget(cache, release);
		return Server.launch(directory, cache, flags);
	}

	/** With the kernels that this machine has. */
	static async withKernels(): Promise<Server> {
		return Server.launch(await mkdtemp(join(tmpdir(), 'resplice-web-')), cacheDirectory(), []);
	}

	private static async launch(directory: string, cache: string, flags: string[]): Promise<Server> {
		const data = join(directory, 'data');
		const archive = await Archive.at(join(directory, 'archive'), cache);
		const path = `${archive.directory}:${process.env.PATH}`;
		const listen = flags.includes('--listen') ? [] : ['--listen', '127.0.0.1:0'];
		const child = spawn(
			program('resplice-server'),
			['serve', '--data', data, '--cache', cache, ...listen, '--lease-seconds', '600', ...flags],
			{ stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PATH: path, NO_COLOR: '1', RESPLICE_LOG: 'warn' } }
		);
		const errors: string[] = [];
		child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()));
		try {
			const url = await address(child);
			return new Server(url, data, archive, child, directory, errors);
		} catch (cause) {
			child.kill();
			throw new Error(`the server did not start: ${errors.join('')}`, { cause });
		}
	}

	/** The token that the server made for a role at its first start. */
	async token(role: TokenRole): Promise<string> {
		return (await readFile(join(this.data, 'tokens', `${role}.token`), 'utf8')).trim();
	}

	/** Calls the API as a role, and fails with what the server said. */
	async call(role: TokenRole | { token: string }, method: string, path: string, body?: unknown): Promise<Response> {
		const token = typeof role === 'string' ? await this.token(role) : role.token;
		const raw = body instanceof Uint8Array || typeof body === 'string';
		const response = await fetch(`${this.url}/api/v1${path}`, {
			method,
			headers: {
				authorization: `Bearer ${token}`,
				...(body !== undefined && { 'content-type': raw ? 'application/octet-stream' : 'application/json' })
			},
			body: body === undefined ? undefined : raw ? (body as BodyInit) : JSON.stringify(body)
		});
		if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
		return response;
	}

	/** Another process finishes the import of a kernel. */
	async importElsewhere(release: string): Promise<void> {
		await importTarget(join(this.directory, 'cache'), release);
	}

	async stop(): Promise<void> {
		const gone = new Promise((done) => this.child.once('exit', done));
		this.child.kill();
		await gone;
		await rm(this.directory, { recursive: true, force: true });
		const panic = this.errors.join('').match(/^.*panicked.*$/m);
		if (panic) throw new Error(`the server panicked: ${panic[0]}`);
	}
}

/** A port that nobody listens at. */
export async function freePort(): Promise<number> {
	const holder = createServer();
	await new Promise<void>((done) => holder.listen(0, '127.0.0.1', done));
	const { port } = holder.address() as AddressInfo;
	await new Promise((done) => holder.close(done));
	return port;
}

/** A program of the workspace, as `make test` builds it or as RESPLICE_PROGRAMS has it. */
export function program(name: string): string {
	const target = process.env.CARGO_TARGET_DIR ?? join(import.meta.dirname, '../../../target');
	const path = join(process.env.RESPLICE_PROGRAMS ?? join(target, 'debug'), name);
	if (!existsSync(path)) throw new Error(`${path} is not there: run \`cargo build -p ${name}\` first`);
	return path;
}

/** Waits for the line that says where the server listens. */
function address(child: ChildProcess): Promise<string> {
	return new Promise((resolve, reject) => {
		let text = '';
		child.stdout?.on('data', (chunk: Buffer) => {
			text += chunk.toString();
			const url = /listening on \S*?(http:\/\/[\d.]+:\d+)/.exec(text)?.[1];
			if (url) resolve(url);
		});
		child.once('error', reject);
		child.once('exit', (code) => reject(new Error(`exit code ${code}`)));
	});
}

async function importTarget(cache: string, release: string): Promise<void> {
	const directory = join(cache, 'targets', release);
	await mkdir(directory, { recursive: true });
	const version = release.startsWith('6.1.0-47') ? '6.1.170-3' : '6.1.176-1';
	const input = (role: string, name: string) => ({
		role, name, version, file: `${name}_${version}_amd64.deb`, sha256: '11'.repeat(32), bytes: 1
	});
	const record = {
		format: 2,
		id: targetId(release),
		package_version: version,
		arch: 'x86_64',
		cc_version_text: 'gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0',
		banner: `Linux version ${release}`,
		vmlinux_sha256: '22'.repeat(32),
		inputs: [
			input('image', `linux-image-${release}`),
			input('headers', `linux-headers-${release}`),
			input('headers-common', 'linux-headers-common'),
			input('source', 'linux-source-6.1'),
			input('kbuild', 'linux-kbuild-6.1')
		]
	};
	await writeFile(join(directory, 'target.json'), JSON.stringify(record));
}

/** Where tools keep what they need between runs. */
export function cacheDirectory(): string {
	return process.env.RESPLICE_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'resplice');
}
