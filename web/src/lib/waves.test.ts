import { describe, expect, it } from 'vitest';
import type { Progress, Rollout } from './api';
import { gateInWords, planInWords, readPlan, span, waveChart, writeSteps, type Field } from './waves';

const START = Date.UTC(2026, 10, 26, 8);
const HOUR = 3_600_000;
const FIELD: Field = { left: 40, top: 10, width: 1000, height: 200 };
const at = (hours: number) => new Date(START + hours * HOUR).toISOString();

const rollout = (rest: Partial<Rollout> = {}): Rollout => ({
	update_id: 'u', channel: 'stable', state: 'running', reason: '', started_at: at(0), held_s: 0,
	plan: {
		name: 'careful',
		steps: [{ after_s: 0, share: 10 }, { after_s: 6 * 3600, share: 100 }, { after_s: 48 * 3600, share: 1000 }]
	},
	tally: { offered: 0, applied: 0, failed: 0, crashed: 0, lost: 0 },
	...rest
});
const progress = (points: Progress['points'] = [], hosts = 1000): Progress => ({ from: at(0), to: at(12), hosts, points });

describe('waveChart', () => {
	it('puts each step at its time and share, inside of the field', () => {
		const chart = waveChart(rollout(), progress(), START + 12 * HOUR, FIELD);
		expect(chart.steps.map(({ hosts, share, open }) => [hosts, share, open])).toEqual([[10, '1 %', true], [100, '10 %', true], [1000, '100 %', false]]);
		expect(chart.steps[0]!.x).toBe(40);
		expect(chart.steps[2]!.y).toBe(10);
		expect(chart.lines.map(({ y }) => y)).toEqual([210, 160, 110, 60, 10]);
		for (const { x } of [...chart.steps, ...chart.ticks]) expect(x >= 40 && x <= 1040).toBe(true);
		expect(chart.now! > chart.steps[1]!.x && chart.now! < chart.steps[2]!.x).toBe(true);
	});

	it('draws what has become of it up to now, and no further', () => {
		const points = [{ at: at(1), offered: 10, applied: 8, failed: 0 }, { at: at(7), offered: 100, applied: 90, failed: 2 }];
		const chart = waveChart(rollout(), progress(points), START + 12 * HOUR, FIELD);
		expect(chart.applied.endsWith(`H${chart.now} V192`)).toBe(true);
		expect(chart.area.endsWith('V210 H40 Z')).toBe(true);
		expect(chart.failed).not.toBe('');
		expect(waveChart(rollout(), progress(), START + HOUR, FIELD).failed).toBe('');
	});

	it('moves the steps that are to come by the time that it was held', () => {
		const held = waveChart(rollout({ held_s: 4 * 3600 }), progress(), START + 12 * HOUR, FIELD);
		const hours = held.steps.map(({ at }) => (at - START) / HOUR);
		expect([hours[0], hours[2]]).toEqual([0, 52]);
	});

	it('shows since when it is held, and opens no step meanwhile', () => {
		const chart = waveChart(rollout({ state: 'halted', held_s: 8 * 3600 }), progress(), START + 12 * HOUR, FIELD);
		expect(chart.steps.map(({ open }) => open)).toEqual([true, false, false]);
		expect(chart.held!.x + chart.held!.width).toBeCloseTo(chart.now!, 1);
	});

	it('copes with no hosts, with more hosts than planned, and with a clock before the start', () => {
		expect(waveChart(rollout(), progress([], 0), START, FIELD).planned).not.toContain('NaN');
		const more = waveChart(rollout(), progress([{ at: at(1), offered: 30, applied: 30, failed: 0 }], 20), START + 2 * HOUR, FIELD);
		expect(Math.min(...[...more.applied.matchAll(/V([\d.]+)/g)].map(([, y]) => Number(y)))).toBeGreaterThanOrEqual(10);
		expect(waveChart(rollout(), progress(), START - HOUR, FIELD).now).toBe(40);
	});
});

it('plans, gates and spans of time are put in words', () => {
	expect(planInWords(rollout().plan)).toBe('1 % at once, 10 % after 6 h, all after 2 d');
	expect(gateInWords({ failed: { hosts: 2, share: 15 }, crashed: { hosts: 1 } })).toEqual([
		'2 hosts and 1.5 % of those offered could not apply it', '1 host went down with it'
	]);
	expect([span(90), span(2700), span(3600 * 60)]).toEqual(['90 s', '45 min', '2 d 12 h']);
});

describe('readPlan', () => {
	it('reads what writeSteps writes', () => {
		const text = '0.5% at 0\n10% at 90min\n100% at 2d';
		const read = readPlan(text);
		expect(read).toEqual({ steps: [{ share: 5, after_s: 0 }, { share: 100, after_s: 5400 }, { share: 1000, after_s: 172_800 }] });
		expect('steps' in read && writeSteps({ name: 'x', steps: read.steps })).toBe(text);
	});

	it('says what is wrong', () => {
		for (const text of ['', '10% at 6h', 'ten at 6h', '0% at 0\n100% at 1h', '10% at 6h\n100% at 6h', '50% at 0\n20% at 1h', '200% at 1h']) {
			expect(readPlan(text), text).toHaveProperty('wrong');
		}
	});
});
