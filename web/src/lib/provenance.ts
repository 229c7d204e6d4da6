/** Where a package comes from: the in-toto statement in its envelope, read with care. */

export interface Provenance {
	/** Who says so: the ids of the keys that signed. */
	signers: string[];
	builder: string;
	subjects: Digest[];
	/** What went into it. */
	inputs: Digest[];
}

export interface Digest {
	name: string;
	sha256: string;
}

type Json = Record<string, unknown>;

const record = (value: unknown): Json => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {});
const records = (value: unknown): Json[] => (Array.isArray(value) ? value.map(record) : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

function digest(entry: Json): Digest {
	return { name: text(entry.name) || text(entry.uri), sha256: text(record(entry.digest).sha256) };
}

/** Reads a DSSE envelope; throws if it holds no statement. */
export function readProvenance(envelope: string): Provenance {
	const outer = record(JSON.parse(envelope));
	const bytes = Uint8Array.from(atob(text(outer.payload)), (char) => char.charCodeAt(0));
	const statement = record(JSON.parse(new TextDecoder().decode(bytes)));
	const predicate = record(statement.predicate);
	const subjects = records(statement.subject).map(digest);
	if (subjects.length === 0) throw new Error('The statement says of no package where it comes from.');
	return {
		signers: records(outer.signatures).map(({ keyid }) => text(keyid)).filter((id) => id !== ''),
		builder: text(record(record(predicate.runDetails).builder).id),
		subjects,
		inputs: records(record(predicate.buildDefinition).resolvedDependencies).map(digest)
	};
}
