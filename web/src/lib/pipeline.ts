/** The way of a patch as a row of stages, made from a job's steps. */
import type { Job, Step, Update } from './api';

export type StageState = 'waiting' | 'running' | 'done' | 'failed' | 'skipped';

export interface Stage {
	key: string;
	label: string;
	what: string;
	state: StageState;
	/** How long it took; absent where nothing was measured. */
	millis?: number;
	/** Says more than the state does. */
	word?: string;
}

interface Known {
	key: string;
	label: string;
	what: string;
	/** Names of steps that belong to it, besides its key. */
	steps: string[];
}

const BUILD: Known[] = [
	{ key: 'prepare', label: 'Prepare', what: 'sandbox, source and patch', steps: ['patch'] },
	{ key: 'pre', label: 'Pre', what: 'compile as it was shipped', steps: ['ref'] },
	{ key: 'post', label: 'Post', what: 'compile with the patch', steps: [] },
	{ key: 'diff', label: 'Diff', what: 'compare object code', steps: [] },
	{ key: 'module', label: 'Module', what: 'build the update module', steps: ['core', 'check'] },
	{ key: 'verify', label: 'Verify', what: 'match the stock kernel, apply and undo in a VM', steps: ['match'] },
	{ key: 'sign', label: 'Sign', what: 'package and sign', steps: ['package'] }
];

function stageOf(step: Step): string {
	const name = step.name.toLowerCase();
	const known = BUILD.find(({ key, steps }) => key === name || steps.includes(name));
	return known?.key ?? name;
}

function failed(step: Step): boolean {
	return step.exit_code !== null && step.exit_code !== undefined && step.exit_code !== 0;
}

/** The build's stages in order; a step nobody knows gets a stage of its own. */
function buildStages(job: Job, now: number): Stage[] {
	const stages: Stage[] = BUILD.map(({ key, label, what }) => ({ key, label, what, state: 'waiting' }));
	let latest = -1;
	for (const step of job.steps) {
		const key = stageOf(step);
		let at = stages.findIndex((stage) => stage.key === key);
		if (at < 0) {
			at = latest + 1;
			stages.splice(at, 0, { key, label: step.name, what: '', state: 'waiting' });
		}
		const stage = stages[at];
		if (!stage) continue;
		stage.millis = (stage.millis ?? 0) + step.millis;
		stage.state = failed(step) || stage.state === 'failed' ? 'failed' : 'done';
		latest = Math.max(latest, at);
	}
	settle(stages, latest, job, now);
	return stages;
}

/** When the step that runs now began: where the last one ended. */
function endOfSteps(job: Job): number {
	const ends = job.steps.map((step) => Date.parse(step.started_at) + step.millis);
	return Math.max(Date.parse(job.started_at ?? job.created_at), ...ends);
}

/** Gives those stages a state that no step speaks for. */
function settle(stages: Stage[], latest: number, job: Job, now: number): void {
	for (let i = 0; i < latest; i++) {
		const stage = stages[i];
		if (stage?.state !== 'waiting') continue;
		stage.state = 'skipped';
		// What the kernel's own source compiles to is kept from one build to the next.
		stage.word = stage.key === 'pre' ? 'kept' : 'left out';
	}
	const next = stages[latest + 1];
	if (job.status === 'running' && next) {
		next.state = 'running';
		next.millis = Math.max(0, now - endOfSteps(job));
	}
	if (job.status === 'queued' || job.status === 'running') return;
	const broken = job.status !== 'built' && job.status !== 'nothing';
	if (job.status === 'nothing') {
		// To find no change is an answer, not a failure.
		for (const stage of stages) if (stage.state === 'failed') stage.state = 'done';
	}
	if (broken && !stages.some((stage) => stage.state === 'failed')) {
		const last = stages[Math.max(latest, 0)];
		if (last) last.state = 'failed';
	}
	for (const stage of stages) if (stage.state === 'waiting') stage.state = 'skipped';
}

/** Every stage from upload to release, as it stands at `now` (ms since 1970). */
export function stagesOf(update: Update, job: Job, now: number): Stage[] {
	const waited = job.started_at
		? Math.max(0, Date.parse(job.started_at) - Date.parse(job.created_at))
		: undefined;
	const upload: Stage = {
		key: 'upload',
		label: 'Upload',
		what: waited === undefined ? 'waits for a worker' : 'stored and queued',
		state: job.status === 'queued' ? 'running' : 'done',
		millis: waited
	};
	return [upload, ...buildStages(job, now), releaseStage(update, job)];
}

/** The second person's word. */
function releaseStage({ released, rejected }: Update, job: Job): Stage {
	const stage = { key: 'release', label: 'Release' };
	if (released) return { ...stage, what: `by ${released.by}`, state: 'done' };
	if (rejected) return { ...stage, what: `rejected by ${rejected.by}`, state: 'failed', word: 'rejected' };
	const waits = ['queued', 'running', 'built'].includes(job.status);
	return { ...stage, what: 'an engineer approves', state: waits ? 'waiting' : 'skipped' };
}
