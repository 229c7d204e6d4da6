/** A distribution's archive: answers as apt-cache does, and has no packages to fetch. */
import { spawn } from 'node:child_process';
import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const PROGRAM = `#!/bin/sh
cd "$(dirname "$0")"
[ ! -f broken ] || { cat broken >&2; exit 100; }
case $1 in
pkgnames) cat names ;;
madison) shift 2; for name; do grep -Fe "$name | " versions; done ;;
esac
exit 0
`;

export class Archive {
	private readonly kernels = new Map<string, string>();

	private constructor(
		/** Where its programs lie. */
		readonly directory: string,
		private readonly cache: string
	) {}

	static async at(directory: string, cache: string): Promise<Archive> {
		await mkdir(directory, { recursive: true });
		await writeFile(join(directory, 'apt-cache'), PROGRAM);
		await chmod(join(directory, 'apt-cache'), 0o755);
		const archive = new Archive(directory, cache);
		await archive.add('6.1.0-50-cloud-amd64', '6.1.176-1');
		return archive;
	}

	/** A kernel comes into it, with all that an import needs. */
	async add(release: string, version: string): Promise<void> {
		this.kernels.set(release, version);
		const names: string[] = [];
		const versions: string[] = [];
		for (const [release, version] of this.kernels) {
			const abi = release.replace(/(-cloud)?-amd64$/, '');
			names.push(`linux-image-${release}`);
			const needed = [`linux-image-${release}`, `linux-headers-${release}`, `linux-headers-${abi}-common`, 'linux-source-6.1'];
			for (const name of needed) versions.push(`${name} | ${version} | http://archive.example main amd64 Packages`);
		}
		await writeFile(join(this.directory, 'names'), `${names.join('\n')}\n`);
		await writeFile(join(this.directory, 'versions'), `${versions.join('\n')}\n`);
	}

	async breakDown(words: string): Promise<void> {
		await writeFile(join(this.directory, 'broken'), words);
	}

	async mend(): Promise<void> {
		await rm(join(this.directory, 'broken'));
	}

	/** Another process is busy with a kernel: imports of it wait until the answer is called. */
	async occupy(release: string): Promise<() => void> {
		const locks = join(this.cache, 'locks');
		await mkdir(locks, { recursive: true });
		const holder = spawn('flock', [join(locks, `target-${release}.lock`), 'sh', '-c', 'echo held; cat'], {
			stdio: ['pipe', 'pipe', 'inherit']
		});
		await new Promise((held) => holder.stdout.once('data', held));
		return () => holder.stdin.end();
	}
}
