/** The audit log's proof: what this browser has seen of the log, and whether an entry is in it. */
import type { Api, AuditEntry } from './api';
import { fromBase64, openCheckpoint, toBase64, type Checkpoint } from './tlog/checkpoint';
import { entryOf, leafHash, tileName, Tree } from './tlog/tree';

/** The log as this browser saw it last: kept, so that a log that was cut back is noticed. */
const SEEN = 'resplice.log';
const BUNDLE = 256;

interface Seen extends Checkpoint {
	key: string;
	at: string;
}

export interface Head {
	checkpoint: Checkpoint;
	/** What it was held against, if this browser saw the log before. */
	before?: { size: number; at: string };
}

function lastSeen(): Seen | undefined {
	try {
		return JSON.parse(localStorage.getItem(SEEN) ?? '') as Seen;
	} catch {
		return undefined;
	}
}

export function treeOf(api: Api, size: number): Tree {
	return new Tree(size, (level, name) => api.logTile(level, name));
}

/** The log's newest checkpoint, verified: signed by the key that this browser knows, over a log that has only grown. */
export async function head(api: Api): Promise<Head> {
	if (!globalThis.crypto?.subtle) throw new Error('The browser proves nothing over plain http: open this page over https.');
	const [key, note] = await Promise.all([api.logKey(), api.logCheckpoint()]);
	const checkpoint = await openCheckpoint(note, key);
	const tree = treeOf(api, checkpoint.size);
	if (toBase64(await tree.root()) !== checkpoint.root) throw new Error('The log’s tiles do not lead to the root that is signed.');
	const before = lastSeen();
	if (before) {
		if (before.key !== key) throw new Error('The log is signed by another key than when this browser saw it last.');
		if (before.size > checkpoint.size) throw new Error(`The log has ${checkpoint.size} entries, and had ${before.size} when this browser saw it last: it was cut back.`);
		if (toBase64(await tree.root(before.size)) !== before.root) throw new Error('What this browser saw of the log has been rewritten.');
	}
	localStorage.setItem(SEEN, JSON.stringify({ ...checkpoint, key, at: new Date().toISOString() } satisfies Seen));
	return { checkpoint, before: before && { size: before.size, at: before.at } };
}

interface Begin {
	kind: string;
	audit: string;
	actor: string;
	role: string;
	action: string;
	object: string;
}

/** Proves that an entry is in the log under a checkpoint as the page shows it; throws what is wrong. */
export async function prove(api: Api, entry: AuditEntry, { size, root }: Checkpoint): Promise<void> {
	const index = entry.log_index;
	if (typeof index !== 'number') throw new Error('It is not in the log yet: that takes a second.');
	if (index >= size) throw new Error('It is newer than the checkpoint: look again.');
	const bundle = Math.floor(index / BUNDLE);
	const bytes = await api.logEntries(tileName(bundle, Math.min(BUNDLE, size - bundle * BUNDLE)));
	const logged = entryOf(bytes, index % BUNDLE);
	const found = await treeOf(api, size).rootWith(index, await leafHash(logged));
	const [a, b] = [found, fromBase64(root)];
	if (a.length !== b.length || a.some((byte, at) => byte !== b[at])) throw new Error('The entry in the log is not the one that was signed.');
	const said = JSON.parse(new TextDecoder().decode(logged)) as Begin;
	const same = said.kind === 'begin' && said.audit === entry.id &&
		(['actor', 'role', 'action', 'object'] as const).every((field) => said[field] === entry[field]);
	if (!same) throw new Error('The database says something else than what was logged.');
}
