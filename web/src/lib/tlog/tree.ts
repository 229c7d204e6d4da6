/**
 * The transparency log's tree (RFC 6962), read from its tiles (C2SP tlog-tiles): whether an
 * entry is in it, and whether it has only grown.
 */
type Bytes = Uint8Array<ArrayBuffer>;

const HASH_BYTES = 32;
/** Levels of the tree in a tile, and hashes in one that is full. */
const LEVELS = 8;
const WIDTH = 2 ** LEVELS;

/** Bytes of a tile; `name` is its number, for a partial one with its width. */
export type Fetch = (level: number, name: string) => Promise<Bytes>;

/** `1234567` is `x001/x234/567`. */
export function tileName(index: number, width: number): string {
	let name = String(index % 1000).padStart(3, '0');
	for (let rest = Math.floor(index / 1000); rest > 0; rest = Math.floor(rest / 1000)) {
		name = `x${String(rest % 1000).padStart(3, '0')}/${name}`;
	}
	return width === WIDTH ? name : `${name}.p/${width}`;
}

/** The entry at a place of a bundle, each after its length in two bytes. */
export function entryOf(bundle: Uint8Array, place: number): Bytes {
	let at = 0;
	for (let index = 0; at + 2 <= bundle.length; index++) {
		const length = ((bundle[at] ?? 0) << 8) | (bundle[at + 1] ?? 0);
		if (index === place) return bundle.slice(at + 2, at + 2 + length);
		at += 2 + length;
	}
	throw new Error('The bundle has no such entry.');
}

async function sha256(...parts: Uint8Array[]): Promise<Bytes> {
	const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
	let at = 0;
	for (const part of parts) {
		all.set(part, at);
		at += part.length;
	}
	return new Uint8Array(await crypto.subtle.digest('SHA-256', all));
}

export const leafHash = (entry: Uint8Array) => sha256(Uint8Array.of(0), entry);
const nodeHash = (left: Uint8Array, right: Uint8Array) => sha256(Uint8Array.of(1), left, right);

/** The largest power of two below a number. */
function split(count: number): number {
	let half = 1;
	while (half * 2 < count) half *= 2;
	return half;
}

export class Tree {
	#tiles = new Map<string, Promise<Bytes>>();

	/** The tree of a log that has `size` entries or more. */
	constructor(
		readonly size: number,
		private readonly fetch: Fetch
	) {}

	/** Its root when it had `size` entries. */
	root(size = this.size): Promise<Bytes> {
		return size === 0 ? sha256() : this.#range(0, size);
	}

	/** Its root, if an entry with this hash is at `index`. */
	rootWith(index: number, hash: Bytes): Promise<Bytes> {
		return this.#with(0, this.size, index, hash);
	}

	async #with(from: number, to: number, index: number, hash: Bytes): Promise<Bytes> {
		if (to - from === 1) return hash;
		const middle = from + split(to - from);
		return index < middle
			? nodeHash(await this.#with(from, middle, index, hash), await this.#range(middle, to))
			: nodeHash(await this.#range(from, middle), await this.#with(middle, to, index, hash));
	}

	/** The hash over entries: from tiles where they are a whole subtree. */
	async #range(from: number, to: number): Promise<Bytes> {
		const count = to - from;
		if (Number.isInteger(Math.log2(count)) && from % count === 0) return this.#node(Math.log2(count), from / count);
		const middle = from + split(count);
		return nodeHash(await this.#range(from, middle), await this.#range(middle, to));
	}

	async #node(level: number, index: number): Promise<Bytes> {
		const below = level % LEVELS;
		if (below > 0) return nodeHash(await this.#node(level - 1, index * 2), await this.#node(level - 1, index * 2 + 1));
		const tile = await this.#tile(level / LEVELS, Math.floor(index / WIDTH));
		const at = (index % WIDTH) * HASH_BYTES;
		if (at + HASH_BYTES > tile.length) throw new Error('A tile of the log is too short.');
		return tile.slice(at, at + HASH_BYTES);
	}

	#tile(level: number, index: number): Promise<Bytes> {
		const hashes = Math.floor(this.size / WIDTH ** level);
		const name = tileName(index, Math.min(WIDTH, hashes - index * WIDTH));
		const key = `${level}/${name}`;
		const known = this.#tiles.get(key) ?? this.fetch(level, name);
		this.#tiles.set(key, known);
		return known;
	}
}
