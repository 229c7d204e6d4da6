/**
 * A worker that plays its part over the real HTTP API: leases, streams a log,
 * finishes with a report. What it says was taken from builds of the real one,
 * which take minutes and a kernel.
 */
import { SigningKey, kernelId, writePackage, writeProvenance } from './package';
import type { Server } from './server';

interface Lease {
	job: string;
	attempt: number;
	update: { id: string; name: string; cves: string[] };
	target: string;
	supersedes: string[];
}

export interface PlayedStep {
	name: string;
	millis: number;
	log: string;
	exit_code?: number;
}

export interface End {
	status: 'built' | 'failed' | 'refused' | 'nothing' | 'needs_code';
	exit_code?: number;
	reason?: string;
	report?: unknown;
}

/** The heading of a step, as the worker's log has it. */
export function heading(step: string): string {
	return `\x1b[1;36m==>\x1b[0;1m ${step}\x1b[0m\n`;
}

/** A job that is being worked on. */
export class Attempt {
	private offset = 0;
	private readonly steps: object[] = [];
	private clock = Date.now();

	constructor(
		private readonly server: Server,
		private readonly key: SigningKey,
		readonly lease: Lease
	) {}

	private get path(): string {
		return `/jobs/${this.lease.job}/attempts/${this.lease.attempt}`;
	}

	/** Appends to the log. */
	async log(text: string | Uint8Array): Promise<void> {
		const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
		await this.server.call('worker', 'POST', `${this.path}/log?offset=${this.offset}`, bytes);
		this.offset += bytes.length;
	}

	/** Goes through a step: its heading, its output, its time. */
	async step({ name, millis, log, exit_code = 0 }: PlayedStep): Promise<void> {
		await this.log(heading(name) + log);
		this.steps.push({ name, started_at: new Date(this.clock).toISOString(), millis, exit_code });
		this.clock += millis;
		await this.server.call('worker', 'POST', `${this.path}/heartbeat`, { steps: this.steps });
	}

	/** Stores the instructions of what is replaced. */
	async list(listing: object): Promise<void> {
		await this.server.call('worker', 'PUT', `${this.path}/listing`, JSON.stringify(listing));
	}

	async finish(end: End): Promise<void> {
		if (end.status === 'built') {
			const { update, target, supersedes } = this.lease;
			const facts = { updateId: update.id, name: update.name, cves: update.cves, target, supersedes };
			const bytes = writePackage(facts, this.key);
			await this.server.call('worker', 'PUT', `${this.path}/package`, bytes);
			await this.server.call('worker', 'PUT', `${this.path}/provenance`, writeProvenance(facts, bytes, this.key));
		}
		await this.server.call('worker', 'POST', `${this.path}/finish`, { exit_code: 0, steps: this.steps, ...end });
	}
}

export class Worker {
	private readonly key = new SigningKey();

	private constructor(
		private readonly server: Server,
		readonly name: string
	) {}

	static async register(server: Server, name = 'builder-1'): Promise<Worker> {
		const worker = new Worker(server, name);
		await server.call('worker', 'POST', '/workers', { name, public_key: worker.key.public });
		return worker;
	}

	async lease(): Promise<Attempt> {
		const response = await this.server.call('worker', 'POST', '/leases', { worker: this.name, targets: [] });
		if (response.status === 204) throw new Error('no job is queued');
		return new Attempt(this.server, this.key, (await response.json()) as Lease);
	}

	/** Leases a job and builds it to the end. */
	async build(): Promise<Attempt> {
		const attempt = await this.lease();
		for (const step of STEPS) await attempt.step(step);
		await attempt.list(LISTING);
		await attempt.finish({ status: 'built', report: report(attempt.lease.update.id, attempt.lease.target) });
		return attempt;
	}
}

/** The steps of a build of tests/patches/kernel-and-module.patch. */
export const STEPS: PlayedStep[] = [
	{ name: 'patch', millis: 151, log: 'patching file fs/proc/loadavg.c\npatching file fs/binfmt_misc.c\n' },
	{ name: 'pre', millis: 2082, log: '  CC pre  fs/proc/loadavg.c\n  CC pre  fs/binfmt_misc.c\n' },
	{ name: 'post', millis: 1996, log: '  CC post fs/proc/loadavg.c\n  CC post fs/binfmt_misc.c\n' },
	{ name: 'ref', millis: 2096, log: '  CC ref  fs/proc/loadavg.c\n  CC ref  fs/binfmt_misc.c\n' },
	{
		name: 'diff',
		millis: 48,
		log:
			'replaces loadavg_proc_show of fs/proc/loadavg.c in vmlinux: 331 -> 331 bytes (it refers to other things)\n' +
			'replaces bm_status_read of fs/binfmt_misc.c in binfmt_misc: 63 -> 71 bytes (its code has another size)\n'
	},
	{
		name: 'module',
		millis: 4310,
		log: '  CC [M]  /resplice/module/main.o\n  LD [M]  /resplice/module/update.ko\n\x1b[33mwarning:\x1b[0m no BTF for the module\n'
	},
	{ name: 'match', millis: 880, log: '\x1b[32m23 of 23\x1b[0m functions are exactly as in the kernel’s files\n' },
	{ name: 'verify', millis: 15730, log: 'EPYC: applied, check says fixed, undone; the kernel’s log is clean\n' },
	{ name: 'sign', millis: 12, log: 'signed by builder-1\n' }
];

function facts(name: string, unit: string, sizes: [number, number], reason: string, rest: object) {
	return {
		name, unit, file: unit, line: 20, reason, old_size: sizes[0], new_size: sizes[1],
		scope: 'static', is_address_taken: true, callers: [], absorbs: [], inlined_into: [], ...rest
	};
}

/** `bytes|text|target` for each instruction. */
function code(...lines: string[]): object {
	let offset = 0;
	const read = (line: string) => {
		const [bytes, text, target] = line.split('|') as [string, string, string?];
		const at = offset;
		offset += bytes.length / 2;
		return { offset: at, bytes, text, ...(target && { target: Number(target) }) };
	};
	return { lines: lines.map(read), cut_bytes: 0 };
}

const HEAD = ['e800000000|call __fentry__', '55|push %rbp', '4889f5|mov %rsi,%rbp', '53|push %rbx', '4889fb|mov %rdi,%rbx'];
const TAIL = ['31c0|xor %eax,%eax', '5b|pop %rbx', '5d|pop %rbp', 'e900000000|jmp __x86_return_thunk'];

/** What objdiff lists of the same functions. */
export const LISTING = {
	functions: [
		{
			name: 'loadavg_proc_show', unit: 'fs/proc/loadavg.c', object: 'vmlinux',
			pre: code(...HEAD, 'e800000000|call get_avenrun', '48c7c600000000|mov $"%lu.%02lu %lu.%02lu %lu.%02lu %u/%d %d\\n",%rsi', 'e800000000|call seq_printf', ...TAIL),
			post: code(...HEAD, 'e800000000|call get_avenrun', '48c7c600000000|mov $"%lu.%02lu %lu.%02lu %lu.%02lu %u/%d %d live\\n",%rsi', 'e800000000|call seq_printf', ...TAIL)
		},
		{
			name: 'bm_status_read', unit: 'fs/binfmt_misc.c', object: 'binfmt_misc',
			pre: code(...HEAD, '833d0000000000|cmpl $0x0,enabled(%rip)', '7407|je|29', '48c7c200000000|mov $"enabled\\n",%rdx', ...TAIL),
			post: code(...HEAD, '833d0000000000|cmpl $0x0,enabled(%rip)', '740b|je|33', '48c7c200000000|mov $"enabled live\\n",%rdx', '4883c205|add $0x5,%rdx', ...TAIL)
		}
	],
	left_out: 0
};

/** A report as worker/src/report.rs writes it. */
export function report(updateId: string, target: string): object {
	const load = facts('loadavg_proc_show', 'fs/proc/loadavg.c', [331, 331], 'it refers to other things', {
		callers: ['proc_loadavg_init'], absorbs: ['loadavg_line']
	});
	const status = facts('bm_status_read', 'fs/binfmt_misc.c', [63, 71], 'its code has another size', {
		callers: ['bm_status_operations', 'bm_fill_super'], inlined_into: ['bm_entry_read']
	});
	const unit = (found: typeof load) => ({
		name: found.unit,
		replaced: [{
			name: found.name, unit: found.unit, old_size: found.old_size, new_size: found.new_size,
			reason: found.reason, callers: found.callers
		}],
		added: [], removed: [], data_added: [], exit_changed: [], refused: []
	});
	return {
		target,
		target_digest: '723930b7650c034b04c01af9edf566c1a36d908e1dbc1608b8b6fa77b4492fd0',
		id: kernelId(updateId),
		patch_sha256: '791b1a3f2c0d88cdc833e7fa9ed3c5195a1057bc4e818aa3f0682fc1931d0787',
		files: ['fs/binfmt_misc.c', 'fs/proc/loadavg.c'],
		units: ['fs/binfmt_misc.c', 'fs/proc/loadavg.c'],
		plans: [
			{ object: 'vmlinux', units: [unit(load)] },
			{ object: 'binfmt_misc', units: [unit(status)] }
		],
		semantic: {
			functions: [load, status],
			findings: [
				{
					severity: 'review', code: 'string-changed', object: 'loadavg_proc_show', unit: 'fs/proc/loadavg.c',
					file: 'fs/proc/loadavg.c', line: 20, sentence: 'a message that programs may read is another one'
				},
				{
					severity: 'info', code: 'inlined-unchanged', object: 'bm_entry_read', unit: 'fs/binfmt_misc.c',
					file: 'fs/binfmt_misc.c', line: 640,
					sentence: 'bm_entry_read contains what the patch touches, but its code is byte for byte the same, so that it stays'
				}
			]
		},
		file_matches: [
			{ object: 'vmlinux', summary: { functions: 4, exact: 4 }, exceptions: [] },
			{ object: 'binfmt_misc', summary: { functions: 19, exact: 19 }, exceptions: [] }
		],
		guests: [{
			cpu: 'EPYC', modules_loaded: true, idle_modules: [], applied: true, undone: true, log_clean: true,
			functions: [], report: '', numbers: { pause_ns: 41250, work_ns: 900000, attempts: 1 }, checks: [1, 0, 1]
		}]
	};
}
