import { describe, expect, it } from 'vitest';
import { dayColumns, pauseColumns, percent } from './fleet';

describe('percent', () => {
	it('says none and all only when it is so', () => {
		expect([percent(0, 9), percent(1, 1000), percent(999, 1000), percent(9, 9), percent(1, 3)]).toEqual(['0 %', '< 1 %', '> 99 %', '100 %', '33 %']);
		expect(percent(0, 0)).toBe('–');
	});
});

it('pauses are named by their bounds', () => {
	const columns = pauseColumns([{ below_us: 50, hosts: 1 }, { below_us: 1000, hosts: 0 }, { below_us: null, hosts: 2 }]);
	expect(columns.map(({ tick }) => tick)).toEqual(['< 50 µs', '< 1 ms', '≥ 1 ms']);
});

it('days are dated at both ends and in the middle', () => {
	const days = Array.from({ length: 30 }, (_, i) => ({ day: new Date(Date.UTC(2026, 10, 1 + i)).toISOString(), applied: i }));
	const ticks = dayColumns(days).flatMap(({ tick }) => tick ?? []);
	expect(ticks).toEqual(['1 Nov', '16 Nov', '30 Nov']);
});
