/** A rollout over time: geometry of its picture, and words for its plan. */
import type { Gate, Progress, Rollout, WavePlan } from './api';

/** Where the picture's field lies in it, in pixels. */
export interface Field {
	left: number;
	top: number;
	width: number;
	height: number;
}

export interface WaveStep {
	/** Where its line begins. */
	x: number;
	y: number;
	/** "10 %". */
	share: string;
	/** Hosts that it lets in, of those that there are. */
	hosts: number;
	at: number;
	/** Whether its time has come. */
	open: boolean;
}

export interface WaveChart {
	steps: WaveStep[];
	/** SVG paths: what is planned, and what has become of it. */
	planned: string;
	offered: string;
	applied: string;
	/** The same as `applied`, closed at the bottom. */
	area: string;
	failed: string;
	/** Where the present is; none once the rollout is over. */
	now?: number;
	/** Since when nobody else is let in, if it does not run: left edge and width. */
	held?: { x: number; width: number };
	ticks: { x: number; label: string; anchor: 'start' | 'middle' | 'end' }[];
	lines: { y: number; label: string }[];
}

const SECOND = 1000;
/** Time shown behind the last step, as a share of the whole. */
const TAIL = 0.08;
const LEAST_MS = 60 * SECOND;

/** "90 s", "45 min", "6 h", "2 d 12 h". */
export function span(seconds: number): string {
	if (seconds < 120) return `${Math.round(seconds)} s`;
	const minutes = Math.round(seconds / 60);
	if (minutes < 120) return `${minutes} min`;
	const hours = Math.round(minutes / 60);
	if (hours < 48) return `${hours} h`;
	const rest = hours % 24;
	return `${Math.floor(hours / 24)} d${rest ? ` ${rest} h` : ''}`;
}

export function permille(share: number): string {
	return `${(share / 10).toLocaleString('en', { maximumFractionDigits: 1 })} %`;
}

/** When each step opens: those that had not before it was held, later by that time. */
function opening(rollout: Rollout, now: number): number[] {
	const start = Date.parse(rollout.started_at);
	const held = rollout.held_s * SECOND;
	return rollout.plan.steps.map(({ after_s }) => {
		const planned = start + after_s * SECOND;
		return planned > now - held ? planned + held : planned;
	});
}

/** A path that keeps its height until the next point. */
function stairs(points: [number, number][]): string {
	return points.map(([x, y], index) => (index === 0 ? `M${x} ${y}` : `H${x} V${y}`)).join(' ');
}

function round(value: number): number {
	return Math.round(value * 10) / 10;
}

/** The picture of a rollout: shares of its hosts from bottom to top, time from left to right. */
export function waveChart(rollout: Rollout, progress: Progress, now: number, field: Field): WaveChart {
	const start = Date.parse(rollout.started_at);
	const opens = opening(rollout, now);
	const last = opens.at(-1) ?? start;
	const end = Math.max(last + Math.max(LEAST_MS, (last - start) * TAIL), now, start + LEAST_MS);
	const highest = Math.max(1, progress.hosts, ...progress.points.map(({ offered, applied }) => Math.max(offered, applied)));
	const x = (at: number) => round(field.left + (field.width * (Math.min(Math.max(at, start), end) - start)) / (end - start));
	const y = (hosts: number) => round(field.top + field.height * (1 - hosts / highest));
	const ground = y(0);

	const steps = rollout.plan.steps.map(({ share }, index): WaveStep => {
		// The first step lets in one host at least.
		const hosts = Math.min(progress.hosts, Math.max(index === 0 ? 1 : 0, Math.round((progress.hosts * share) / 1000)));
		const at = opens[index] ?? start;
		return { x: x(at), y: y(hosts), share: permille(share), hosts, at, open: at <= now && (rollout.state === 'running' || at < heldSince(rollout, now)) };
	});
	const series = (key: 'offered' | 'applied' | 'failed') => {
		const points: [number, number][] = [[x(start), ground]];
		for (const point of progress.points) points.push([x(Date.parse(point.at)), y(point[key])]);
		const height = points.at(-1)?.[1] ?? ground;
		points.push([x(now), height]);
		return stairs(points);
	};
	const applied = series('applied');
	const planned: [number, number][] = [[x(start), ground], ...steps.map((step): [number, number] => [step.x, step.y])];
	planned.push([x(end), steps.at(-1)?.y ?? ground]);
	return {
		steps,
		planned: stairs(planned),
		offered: series('offered'),
		applied,
		area: `${applied} V${ground} H${x(start)} Z`,
		failed: progress.points.some(({ failed }) => failed > 0) ? series('failed') : '',
		now: now <= end ? x(now) : undefined,
		held: rollout.state === 'running' ? undefined : { x: x(heldSince(rollout, now)), width: round(x(now) - x(heldSince(rollout, now))) },
		ticks: ticks(start, end, x),
		lines: [0, 0.25, 0.5, 0.75, 1].map((part) => ({ y: y(part * highest), label: `${part * 100} %` }))
	};
}

/** The server tells how long it was held in all: at the latest since then. */
function heldSince(rollout: Rollout, now: number): number {
	return rollout.state === 'running' ? now : Math.max(Date.parse(rollout.started_at), now - rollout.held_s * SECOND);
}

function ticks(start: number, end: number, x: (at: number) => number): WaveChart['ticks'] {
	const parts = 4;
	return Array.from({ length: parts + 1 }, (_, index) => {
		const after = ((end - start) * index) / parts;
		return {
			x: x(start + after),
			label: index === 0 ? 'start' : `+${span(after / SECOND)}`,
			anchor: index === 0 ? 'start' : index === parts ? 'end' : 'middle'
		};
	});
}

/** "1 % at once, 10 % after 6 h, all after 2 d". */
export function planInWords({ steps }: WavePlan): string {
	return steps
		.map(({ after_s, share }) => `${share === 1000 ? 'all' : permille(share)} ${after_s === 0 ? 'at once' : `after ${span(after_s)}`}`)
		.join(', ');
}

const KINDS = { failed: 'could not apply it', crashed: 'went down with it', lost: 'fell silent' } as const;

/** What stops a rollout by itself, a sentence each. */
export function gateInWords(gate: Gate | undefined): string[] {
	if (!gate) return [];
	return (Object.keys(KINDS) as (keyof typeof KINDS)[]).flatMap((kind) => {
		const limit = gate[kind];
		if (!limit) return [];
		const share = limit.share ? ` and ${permille(limit.share)} of those offered` : '';
		return [`${limit.hosts} ${limit.hosts === 1 ? 'host' : 'hosts'}${share} ${KINDS[kind]}`];
	});
}

const UNITS: Record<string, number> = { s: 1, min: 60, m: 60, h: 3600, d: 86_400 };
const LINE = /^(\d+(?:\.\d+)?) ?% +at +(\d+(?:\.\d+)?) ?(s|min|m|h|d)?$/;

/** Steps as people write them, "10% at 6h" on a line each; or what is wrong with them. */
export function readPlan(text: string): { steps: WavePlan['steps'] } | { wrong: string } {
	const steps: WavePlan['steps'] = [];
	for (const line of text.split('\n').map((line) => line.trim()).filter((line) => line !== '')) {
		const [, share, after, unit] = LINE.exec(line) ?? [];
		if (share === undefined || after === undefined) return { wrong: `“${line}” is not like “10% at 6h”.` };
		const step = { share: Math.round(Number(share) * 10), after_s: Math.round(Number(after) * (UNITS[unit ?? 's'] ?? 1)) };
		const before = steps.at(-1);
		if (step.share < 1 || step.share > 1000) return { wrong: `“${line}”: a share is from 0.1 % to 100 %.` };
		if (before && (step.share <= before.share || step.after_s <= before.after_s)) {
			return { wrong: `“${line}” does not go beyond the line before it.` };
		}
		steps.push(step);
	}
	if (steps.at(-1)?.share !== 1000) return { wrong: 'The last line has to reach 100 %.' };
	return { steps };
}

/** The same the other way. */
export function writeSteps({ steps }: WavePlan): string {
	const unit = (seconds: number) => ['d', 'h', 'min'].find((name) => seconds % (UNITS[name] ?? 1) === 0) ?? 's';
	return steps
		.map(({ share, after_s }) => {
			const name = unit(after_s);
			return `${share / 10}% at ${after_s === 0 ? '0' : `${after_s / (UNITS[name] ?? 1)}${name}`}`;
		})
		.join('\n');
}
