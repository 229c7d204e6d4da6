/** Checkpoints of the transparency log (C2SP tlog-checkpoint, signed-note), checked in the browser. */

/** Type of an ed25519 key in signed notes. */
const ED25519 = 1;
const ID_BYTES = 4;

export interface Checkpoint {
	/** The log's name. */
	origin: string;
	/** Number of entries. */
	size: number;
	/** Root of the tree over them, in base64. */
	root: string;
}

export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
	return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

export function toBase64(bytes: Uint8Array): string {
	return btoa(String.fromCharCode(...bytes));
}

/** Reads a checkpoint and verifies its signature by a key `NAME+ID+KEY`; throws what is wrong. */
export async function openCheckpoint(note: string, verifier: string): Promise<Checkpoint> {
	const end = note.indexOf('\n\n');
	if (end < 0) throw new Error('The checkpoint has no signature.');
	const body = note.slice(0, end + 1);
	const [name = '', id = '', ...rest] = verifier.trim().split('+');
	// The key's own base64 may have a plus in it.
	const key = fromBase64(rest.join('+'));
	if (key[0] !== ED25519) throw new Error('The log’s key is of a kind that is not known here.');
	const signatures = note.slice(end + 2).split('\n').map((line) => line.split(' '));
	const own = signatures.filter(([dash, signer]) => dash === '—' && signer === name).map(([, , bytes]) => fromBase64(bytes ?? ''));
	const fits = own.find((bytes) => hex(bytes.subarray(0, ID_BYTES)) === id);
	if (!fits) throw new Error('The checkpoint is not signed by the log’s key.');
	const publicKey = await crypto.subtle.importKey('raw', key.subarray(1), 'Ed25519', false, ['verify']);
	const good = await crypto.subtle.verify('Ed25519', publicKey, fits.subarray(ID_BYTES), new TextEncoder().encode(body));
	if (!good) throw new Error('The checkpoint’s signature does not hold.');
	const [origin = '', size = '', root = ''] = body.split('\n');
	if (origin !== name || !/^(0|[1-9]\d*)$/.test(size)) throw new Error('The checkpoint is not well formed.');
	return { origin, size: Number(size), root };
}

function hex(bytes: Uint8Array): string {
	return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}
