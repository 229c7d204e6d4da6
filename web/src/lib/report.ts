/**
 * What a build found out: the worker's report (worker/src/report.rs), read with
 * care, since the server passes on any JSON that a worker gives it.
 */

export interface ReplacedFunction {
	name: string;
	unit: string;
	/** The kernel object that it is in. */
	object: string;
	/** Bytes; absent where the report does not say. */
	oldSize?: number;
	newSize?: number;
	/** What is different, in words. */
	reason: string;
}

/** What debug information says of a replaced function. */
export interface FunctionFacts {
	name: string;
	unit: string;
	file: string;
	line?: number;
	/** `static`, `global` or `exported`. */
	scope: string;
	/** Something calls it through a pointer. */
	isAddressTaken: boolean;
	callers: string[];
	/** Functions that the patch touches and that are part of it. */
	absorbs: string[];
	inlinedInto: string[];
}

export interface Finding {
	severity: 'needs_code' | 'review' | 'info';
	code: string;
	object: string;
	file: string;
	line?: number;
	sentence: string;
}

export interface Refusal {
	code: string;
	object: string;
	sentence: string;
}

/** What the patch's author says of a change, in the source or in the patch's description. */
export interface Declared {
	/** A word, as authors write it: `init-done`. */
	what: string;
	unit: string;
	name: string;
	/** Why; only a description says it. */
	reason?: string;
}

/** What the stock kernel made of the update on one CPU model. */
export interface Guest {
	cpu: string;
	/** Exit codes of the check: before, with the update, after undo. */
	checks: number[];
	pauseNs?: number;
}

export interface BuildReport {
	/** The kernel objects that change: `vmlinux` and modules' names. */
	objects: string[];
	replaced: ReplacedFunction[];
	/** Names of functions and data that the update brings along or leaves behind. */
	added: string[];
	removed: string[];
	dataAdded: string[];
	/** Existing data of which bytes are exchanged in place, and how many. */
	exchanged: { name: string; bytes?: number; size?: number }[];
	refused: Refusal[];
	declared: Declared[];
	facts: FunctionFacts[];
	/** The most severe first. */
	findings: Finding[];
	/** A patch to fill in, if code of the patch's author is missing. */
	skeleton?: string;
	/** Digests of what went in, by name. */
	inputs: { name: string; sha256: string }[];
	units: string[];
	/** Functions of the compiled units, and how many are exactly as shipped. */
	match?: { functions: number; exact: number };
	guests: Guest[];
}

type Json = Record<string, unknown>;

function record(value: unknown): Json {
	return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function records(value: unknown): Json[] {
	if (!Array.isArray(value)) return [];
	return value.map(record).filter((entry) => Object.keys(entry).length > 0);
}

function text(value: unknown): string {
	return typeof value === 'string' ? value : '';
}

function texts(value: unknown): string[] {
	return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
}

function count(value: unknown): number | undefined {
	return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** The sum, if all are there. */
function sum(counts: (number | undefined)[]): number | undefined {
	if (counts.length === 0) return undefined;
	return counts.reduce((a, b) => (a === undefined || b === undefined ? undefined : a + b));
}

function replaced(entry: Json, object: string): ReplacedFunction {
	return {
		object,
		name: text(entry.name),
		unit: text(entry.unit),
		oldSize: count(entry.old_size),
		newSize: count(entry.new_size),
		reason: text(entry.reason)
	};
}

function refusal(entry: Json): Refusal {
	return { code: text(entry.code), object: text(entry.object), sentence: text(entry.sentence) };
}

/** A unit of several modules says the same in each of them. */
function declared(units: Json[]): Declared[] {
	const all = units.flatMap((unit) =>
		records(unit.declared).map((entry) => ({
			what: text(entry.kind), unit: text(unit.name), name: text(entry.name), reason: text(entry.reason) || undefined
		}))
	);
	return [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
}

function guest(entry: Json): Guest {
	const checks = Array.isArray(entry.checks) ? entry.checks : [];
	return {
		cpu: text(entry.cpu),
		checks: checks.filter((code) => typeof code === 'number'),
		pauseNs: count(record(entry.numbers).pause_ns)
	};
}

const SEVERITIES = ['needs_code', 'review', 'info'] as const;

function finding(entry: Json): Finding {
	const severity = SEVERITIES.find((word) => word === text(entry.severity).replace('-', '_')) ?? 'review';
	return {
		severity, code: text(entry.code), object: text(entry.object), file: text(entry.file),
		line: count(entry.line) || undefined, sentence: text(entry.sentence)
	};
}

function facts(entry: Json): FunctionFacts {
	return {
		name: text(entry.name), unit: text(entry.unit), file: text(entry.file), line: count(entry.line) || undefined,
		scope: text(entry.scope), isAddressTaken: entry.is_address_taken === true,
		callers: texts(entry.callers), absorbs: texts(entry.absorbs), inlinedInto: texts(entry.inlined_into)
	};
}

/** Reads a report; what it does not say, or says in another way, is left out. */
export function readReport(report: unknown): BuildReport {
	const semantic = record(record(report).semantic);
	const plans = records(record(report).plans);
	const units = plans.flatMap((plan) => records(plan.units));
	const replacedIn = (plan: Json) =>
		records(plan.units).flatMap((unit) => records(unit.replaced).map((entry) => replaced(entry, text(plan.object))));
	const exchangedIn = (plan: Json) => records(plan.units).flatMap((unit) => records(unit.exchanged));
	const changed = plans.filter((plan) => replacedIn(plan).length + exchangedIn(plan).length > 0);
	const summaries = records(record(report).file_matches).map(({ summary }) => record(summary));
	const functions = sum(summaries.map((summary) => count(summary.functions)));
	const exact = sum(summaries.map((summary) => count(summary.exact)));
	return {
		objects: changed.map((plan) => text(plan.object)).filter((name) => name !== ''),
		replaced: plans.flatMap(replacedIn),
		added: units.flatMap((unit) => texts(unit.added)),
		removed: units.flatMap((unit) => texts(unit.removed)),
		dataAdded: units.flatMap((unit) => records(unit.data_added).map(({ name }) => text(name))),
		exchanged: units.flatMap((unit) =>
			records(unit.exchanged).map(({ name, bytes, size }) => ({ name: text(name), bytes: count(bytes), size: count(size) }))
		),
		refused: units.flatMap((unit) => records(unit.refused).map(refusal)),
		declared: declared(units),
		facts: records(semantic.functions).map(facts),
		findings: records(semantic.findings)
			.map(finding)
			.sort((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity)),
		skeleton: text(record(report).skeleton) || undefined,
		inputs: [
			{ name: 'patch', sha256: text(record(report).patch_sha256) },
			{ name: 'target', sha256: text(record(report).target_digest) }
		].filter(({ sha256 }) => sha256 !== ''),
		units: texts(record(report).units),
		match: functions === undefined || exact === undefined ? undefined : { functions, exact },
		guests: records(record(report).guests).map(guest)
	};
}

/** What an exit code of a check says. */
export function verdict(code: number): string {
	return code === 0 ? 'fixed' : code === 1 ? 'vulnerable' : `unknown (${code})`;
}
