import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { openCheckpoint, toBase64 } from './checkpoint';
import { entryOf, leafHash, tileName, Tree } from './tree';

const sha = (...parts: Uint8Array[]) => createHash('sha256').update(Buffer.concat(parts)).digest();
const leaf = (n: number) => Buffer.from(`entry ${n}`);

/** The tree's root as RFC 6962 defines it. */
function plain(entries: Buffer[]): Buffer {
	if (entries.length === 0) return sha();
	if (entries.length === 1) return sha(Uint8Array.of(0), entries[0]!);
	let half = 1;
	while (half * 2 < entries.length) half *= 2;
	return sha(Uint8Array.of(1), plain(entries.slice(0, half)), plain(entries.slice(half)));
}

/** A log that serves tiles of the hashes of its whole subtrees. */
function log(size: number, change: (n: number) => Buffer = leaf) {
	const entries = Array.from({ length: size }, (_, n) => change(n));
	const asked: string[] = [];
	const fetch = async (level: number, name: string) => {
		asked.push(`${level}/${name}`);
		const [number = '', width = '256'] = name.split('.p/');
		const index = Number(number.replace(/[x/]/g, ''));
		const span = 256 ** level;
		const hashes = Array.from({ length: Number(width) }, (_, n) => {
			const from = (index * 256 + n) * span;
			expect(from + span).toBeLessThanOrEqual(size);
			return plain(entries.slice(from, from + span));
		});
		return new Uint8Array(Buffer.concat(hashes));
	};
	return { tree: new Tree(size, fetch), entries, asked };
}

const hex = async (bytes: Promise<Uint8Array>) => Buffer.from(await bytes).toString('hex');

describe('Tree', () => {
	it('has the root that the standard gives it, whatever its size', async () => {
		for (const size of [0, 1, 2, 3, 7, 255, 256, 257, 300, 517]) {
			const { tree, entries } = log(size);
			expect(await hex(tree.root()), String(size)).toBe(plain(entries).toString('hex'));
		}
	});

	it('leads from each entry to the root, and from another one elsewhere', async () => {
		const { tree } = log(300);
		const root = await hex(tree.root());
		for (const index of [0, 1, 137, 255, 256, 299]) {
			expect(await hex(tree.rootWith(index, await leafHash(new Uint8Array(leaf(index))))), String(index)).toBe(root);
			expect(await hex(tree.rootWith(index, await leafHash(new Uint8Array(leaf(index + 1)))))).not.toBe(root);
		}
	});

	it('tells the root that it had, unless what was there has been changed', async () => {
		const before = await hex(log(261).tree.root());
		expect(await hex(log(517).tree.root(261))).toBe(before);
		const rewritten = log(517, (n) => (n === 17 ? Buffer.from('other') : leaf(n)));
		expect(await hex(rewritten.tree.root(261))).not.toBe(before);
	});

	it('asks for a tile once, and for few', async () => {
		const { tree, asked } = log(517);
		await tree.root();
		await tree.rootWith(300, await leafHash(new Uint8Array(leaf(300))));
		expect(new Set(asked).size).toBe(asked.length);
		expect(asked.length).toBeLessThanOrEqual(4);
	});

	it('names tiles, and finds an entry in a bundle', () => {
		expect([tileName(0, 256), tileName(1_234_067, 7), tileName(1000, 256)]).toEqual(['000', 'x001/x234/067.p/7', 'x001/000']);
		const bundle = Uint8Array.of(0, 2, 97, 98, 0, 0, 0, 1, 99);
		expect([0, 1, 2].map((n) => Buffer.from(entryOf(bundle, n)).toString())).toEqual(['ab', '', 'c']);
		expect(() => entryOf(bundle, 3)).toThrow();
	});
});

describe('openCheckpoint', () => {
	const pair = generateKeyPairSync('ed25519');
	const key = Buffer.concat([Uint8Array.of(1), pair.publicKey.export({ type: 'spki', format: 'der' }).subarray(12)]);
	const id = sha(Buffer.from('log.example\n'), key).subarray(0, 4);
	const verifier = `log.example+${id.toString('hex')}+${key.toString('base64')}\n`;
	const note = (body: string, secret = pair.privateKey) =>
		`${body}\n— log.example ${Buffer.concat([id, sign(null, Buffer.from(body), secret)]).toString('base64')}\n`;
	const body = `log.example\n517\n${toBase64(new Uint8Array(32))}\n`;

	it('reads what the log’s key has signed', async () => {
		expect(await openCheckpoint(note(body), verifier)).toEqual({ origin: 'log.example', size: 517, root: toBase64(new Uint8Array(32)) });
	});

	it('refuses what is changed, signed by another key, or not signed', async () => {
		await expect(openCheckpoint(note(body).replace('517', '518'), verifier)).rejects.toThrow('does not hold');
		await expect(openCheckpoint(note(body, generateKeyPairSync('ed25519').privateKey), verifier)).rejects.toThrow('does not hold');
		await expect(openCheckpoint(body, verifier)).rejects.toThrow('no signature');
		await expect(openCheckpoint(`${body}\n— other.example AAAA\n`, verifier)).rejects.toThrow('not signed by');
	});
});
