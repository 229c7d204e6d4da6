/** A signed update package, written from its description in worker/package/src/lib.rs. */
import { createHash, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

const BLOCK = 512;
const SIGNED = 'resplice-package-v1\0';
/** DER before the 32 bytes of an ed25519 public key (RFC 8410). */
const SPKI_PREFIX_BYTES = 12;

export class SigningKey {
	private readonly secret: KeyObject;
	/** In hex. */
	readonly public: string;

	constructor() {
		const pair = generateKeyPairSync('ed25519');
		this.secret = pair.privateKey;
		this.public = pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(SPKI_PREFIX_BYTES).toString('hex');
	}

	sign(bytes: Uint8Array): string {
		return sign(null, bytes, this.secret).toString('hex');
	}
}

export interface PackageFacts {
	updateId: string;
	name: string;
	cves: string[];
	target: string;
	supersedes: string[];
}

/** Id in the kernel: the end of the update's id, which is twelve hex digits too. */
export function kernelId(updateId: string): string {
	return `rsp_${updateId.slice(-12)}`;
}

/** The module in it is no kernel module; the server only looks at the signed manifest. */
export function writePackage(facts: PackageFacts, key: SigningKey): Uint8Array {
	const id = kernelId(facts.updateId);
	const members: Record<string, Buffer> = {
		[`modules/${id}.ko`]: Buffer.from('the update module'),
		'modules/resplice.ko': Buffer.from('the core'),
		'report.json': Buffer.from('{}')
	};
	const names = Object.keys(members).sort();
	const manifest = Buffer.from(JSON.stringify({
		format: 3,
		id,
		update_id: facts.updateId,
		name: facts.name,
		cves: facts.cves,
		supersedes: [...facts.supersedes].sort(),
		target: {
			id: facts.target,
			release: facts.target.replace('debian:', ''),
			package_version: '6.1.176-1',
			digest: '11'.repeat(32)
		},
		parts: [{
			object: 'vmlinux',
			functions: [{ name: 'loadavg_proc_show', unit: 'fs/proc/loadavg.c', old_size: 331, new_size: 331 }]
		}],
		members: names.map((name) => ({ name, sha256: sha256(members[name]!), bytes: members[name]!.length })),
		built_by: 'resplice-worker 0.1.0',
		inputs: [{ name: 'patch', sha256: '22'.repeat(32) }]
	}));
	members['manifest.json'] = manifest;
	const signature = key.sign(Buffer.concat([Buffer.from(SIGNED), manifest]));
	members['signature.json'] = Buffer.from(JSON.stringify({ key: key.public, signature }));
	return archive(members);
}

const STATEMENT = 'application/vnd.in-toto+json';

/** Where a package comes from, as worker/package/src/provenance.rs says it. */
export function writeProvenance(facts: PackageFacts, bytes: Uint8Array, key: SigningKey): string {
	const payload = Buffer.from(JSON.stringify({
		_type: 'https://in-toto.io/Statement/v1',
		subject: [{ name: `${kernelId(facts.updateId)}.rspl`, digest: { sha256: sha256(bytes) } }],
		predicateType: 'https://slsa.dev/provenance/v1',
		predicate: {
			buildDefinition: {
				buildType: 'urn:resplice:build:v1',
				externalParameters: {
					updateId: facts.updateId, name: facts.name, cves: facts.cves, target: facts.target,
					targetDigest: '11'.repeat(32), supersedes: [...facts.supersedes].sort()
				},
				internalParameters: { sandbox: 'local', cpus: ['EPYC'], modulesSigned: false },
				resolvedDependencies: [
					{ name: 'patch', digest: { sha256: '22'.repeat(32) } },
					{ name: 'linux-source-6.1 6.1.176-1', digest: { sha256: '33'.repeat(32) } },
					{ name: 'module-sources', digest: { sha256: '44'.repeat(32) } }
				]
			},
			runDetails: {
				builder: { id: `urn:resplice:worker:ed25519:${key.public}`, version: { 'resplice-worker': '0.1.0' } },
				metadata: { invocationId: 'local', startedOn: '2026-11-26T08:00:00Z', finishedOn: '2026-11-26T08:01:00Z' }
			}
		}
	}));
	const signed = Buffer.concat([Buffer.from(`DSSEv1 ${STATEMENT.length} ${STATEMENT} ${payload.length} `), payload]);
	const sig = Buffer.from(key.sign(signed), 'hex').toString('base64');
	return JSON.stringify({
		payloadType: STATEMENT, payload: payload.toString('base64'), signatures: [{ keyid: key.public, sig }]
	});
}

function sha256(bytes: Uint8Array): string {
	return createHash('sha256').update(bytes).digest('hex');
}

/** A canonical ustar archive: regular files by name, mode 0644, owner and time 0. */
function archive(members: Record<string, Buffer>): Buffer {
	const blocks = Object.keys(members).sort().flatMap((name) => {
		const bytes = members[name]!;
		return [header(name, bytes.length), bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)];
	});
	return Buffer.concat([...blocks, Buffer.alloc(2 * BLOCK)]);
}

function header(name: string, size: number): Buffer {
	const block = Buffer.alloc(BLOCK);
	const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
	block.write(name, 0);
	block.write(octal(0o644, 7), 100);
	block.write(octal(0, 7), 108);
	block.write(octal(0, 7), 116);
	block.write(octal(size, 11), 124);
	block.write(octal(0, 11), 136);
	block.fill(' ', 148, 156);
	block.write('0', 156);
	block.write('ustar\x0000', 257);
	const sum = block.reduce((total, byte) => total + byte, 0);
	block.write(`${octal(sum, 7)}\0`, 148);
	return block;
}
