import { describe, expect, it } from 'vitest';
import { columnsOf } from './chart';

describe('columnsOf', () => {
	it('stands on the ground, in order, inside of the field', () => {
		const drawn = columnsOf([{ label: 'a', count: 1 }, { label: 'b', count: 4 }, { label: 'c', count: 0 }], 300, 100);
		expect(drawn.map(({ y, height }) => y + height)).toEqual([100, 100, 100]);
		expect(drawn.map(({ height }) => height)).toEqual([20.5, 82, 0]);
		for (const { x, width } of drawn) expect(x >= 0 && x + width <= 300).toBe(true);
		expect(drawn[0]!.x < drawn[1]!.x && drawn[1]!.x < drawn[2]!.x).toBe(true);
	});

	it('shows one among a hundred thousand, and draws nothing for nothing', () => {
		const [few, many] = columnsOf([{ label: 'a', count: 1 }, { label: 'b', count: 100_000 }], 100, 50);
		expect(few!.height).toBeGreaterThanOrEqual(1);
		expect(many!.y).toBeGreaterThan(0);
		expect(columnsOf([], 100, 50)).toEqual([]);
		expect(columnsOf([{ label: 'a', count: 0 }], 100, 50)[0]!.height).toBe(0);
	});
});
