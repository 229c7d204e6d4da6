/** The fleet's numbers, as the page draws them. */
import type { Fleet, FleetUpdate } from './api';
import type { Column } from './chart';
import type { Part } from './components/Share.svelte';

export function sumOf(counts: { hosts: number }[]): number {
	return counts.reduce((sum, { hosts }) => sum + hosts, 0);
}

/** Days as columns; every tenth and the last have their date. */
export function dayColumns(days: Fleet['days']): Column[] {
	return days.map(({ day, applied }, index) => {
		const date = new Date(day).toLocaleDateString('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' });
		const ticked = index === 0 || index === days.length - 1 || index === Math.floor(days.length / 2);
		return { label: date, count: applied, tick: ticked ? date : undefined };
	});
}

const micros = (us: number) => (us < 1000 ? `${us} µs` : `${us / 1000} ms`);

export function pauseColumns(pauses: Fleet['pauses']): Column[] {
	return pauses.map(({ below_us, hosts }, index) => {
		const before = pauses[index - 1]?.below_us;
		const label = typeof below_us === 'number' ? `below ${micros(below_us)}` : `${micros(before ?? 0)} and more`;
		const tick = typeof below_us === 'number' ? `< ${micros(below_us)}` : `≥ ${micros(before ?? 0)}`;
		return { label, count: hosts, tick, numbered: true };
	});
}

/** What became of an update, as parts of a bar. */
export function partsOf({ applied, failed, busy }: FleetUpdate): Part[] {
	return [
		{ tone: 'ok', count: applied, label: 'run it' },
		{ tone: 'bad', count: failed, label: 'failed' },
		{ tone: 'warn', count: busy, label: 'try again' }
	];
}

/** "62 %", and never 0 or 100 if that is not quite so. */
export function percent(part: number, whole: number): string {
	if (whole === 0) return '–';
	const value = Math.round((100 * part) / whole);
	if (value === 0 && part > 0) return '< 1 %';
	if (value === 100 && part < whole) return '> 99 %';
	return `${Math.min(value, 100)} %`;
}
