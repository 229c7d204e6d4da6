import { describe, expect, it } from 'vitest';
import type { Job, Step, Update } from './api';
import { stagesOf } from './pipeline';

const T = '2026-01-01T00:00:00Z';
const NOW = Date.parse('2026-01-01T00:00:09Z');

function step(name: string, millis = 10, exit_code: number | null = 0): Step {
	return { name, millis, exit_code, started_at: T };
}

function job(over: Partial<Job>): Job {
	return {
		id: 'j', update_id: 'u', target: 't', status: 'running', attempt: 1, worker: 'w',
		created_at: T, started_at: '2026-01-01T00:00:02Z', finished_at: null, exit_code: null,
		reason: null, report: null, steps: [], package: null, log_bytes: 0, ...over
	};
}

const update = { released: null } as Update;

function states(over: Partial<Job>): Record<string, string> {
	return Object.fromEntries(stagesOf(update, job(over), NOW).map((stage) => [stage.key, stage.state]));
}

describe('stagesOf', () => {
	it('shows what runs next while a job runs', () => {
		expect(states({ steps: [step('prepare'), step('pre')] })).toMatchObject({
			upload: 'done', pre: 'done', post: 'running', diff: 'waiting', release: 'waiting'
		});
	});

	it('marks the step that failed and what was not reached', () => {
		expect(states({ status: 'failed', steps: [step('pre'), step('post', 5, 2)] })).toMatchObject({
			prepare: 'skipped', pre: 'done', post: 'failed', diff: 'skipped', release: 'skipped'
		});
	});

	it('marks the last step when a job is refused and no command failed', () => {
		expect(states({ status: 'refused', steps: [step('pre'), step('post'), step('diff')] })).toMatchObject({
			diff: 'failed', module: 'skipped'
		});
	});

	it('tells what was kept from what was left out, and a rejection from a failure', () => {
		const built = job({ status: 'built', steps: [step('patch'), step('post'), step('sign')] });
		const rejected = { ...update, rejected: { by: 'engineer', at: '', reason: 'no' } };
		const words = Object.fromEntries(stagesOf(rejected, built, NOW).map((stage) => [stage.key, stage.word]));
		expect(words).toMatchObject({ pre: 'kept', verify: 'left out', release: 'rejected', post: undefined });
	});

	it('adds up steps of one stage and gives an unknown step its own', () => {
		const stages = stagesOf(update, job({ status: 'built', steps: [step('ref', 7), step('pre', 8), step('weigh', 3)] }), NOW);
		expect(stages.find((stage) => stage.key === 'pre')?.millis).toBe(15);
		expect(stages.map((stage) => stage.key).slice(2, 5)).toEqual(['pre', 'weigh', 'post']);
	});

	it('does not call it a failure when nothing changes', () => {
		const steps = [step('pre'), step('post'), step('diff', 4, 1)];
		expect(states({ status: 'nothing', steps })).toMatchObject({ diff: 'done', module: 'skipped' });
	});

	it('counts the time of the stage that runs', () => {
		const running = stagesOf(update, job({}), NOW).find((stage) => stage.state === 'running');
		expect(running?.millis).toBe(7000);
	});

	it('says how long a job waited', () => {
		expect(stagesOf(update, job({}), NOW)[0]?.millis).toBe(2000);
	});
});
