import { describe, expect, it } from 'vitest';
import { Folds, sectionOf } from './folds';
import { LogLines } from './lines';
import { ROW_PX, scrollTo, viewOf } from './window';

const encode = (text: string) => new TextEncoder().encode(text);
const logOf = (...pieces: string[]) => {
	const lines = new LogLines();
	for (const piece of pieces) lines.append(encode(piece));
	return lines;
};
const heading = (name: string) => `\x1b[1;36m==>\x1b[0;1m ${name}\x1b[0m\n`;

describe('LogLines', () => {
	it('counts a line that has not ended, and goes on with it', () => {
		const lines = logOf('a\nb');
		expect([lines.count, lines.text(1)]).toEqual([2, 'b']);
		lines.append(encode('c\n'));
		expect([lines.count, lines.text(1)]).toEqual([2, 'bc']);
		expect(logOf('').count).toBe(0);
	});

	it('joins a character and a sequence that were cut between two pieces', () => {
		const lines = new LogLines();
		for (const byte of encode('\x1b[32mü\x1b[0m\n')) lines.append(Uint8Array.of(byte));
		expect(lines.runs(0)).toEqual([{ text: 'ü', classes: 'green' }]);
	});

	it('carries a colour into the lines that follow', () => {
		const lines = logOf('\x1b[1;31ma\nb\nc\x1b[0m\nd\n');
		expect([0, 1, 2, 3].map((line) => lines.runs(line)[0]?.classes)).toEqual(['red bold', 'red bold', 'red bold', '']);
	});

	it('finds headings, the first error, and words whatever their case', async () => {
		const lines = logOf(heading('pre'), 'CC a.c\n', heading('post'), 'a.c:3:1: error: no\n', 'Error again\n');
		expect(lines.sections).toEqual([{ line: 0, name: 'pre' }, { line: 2, name: 'post' }]);
		expect(lines.firstError).toBe(3);
		expect(logOf('ok\n\x1b[1;31mthe worker gave up\x1b[0m\nan error\n').firstError).toBe(1);
		expect(await lines.find('ERROR', 10)).toEqual([3, 4]);
		expect(await lines.find('ERROR', 1)).toEqual([3]);
		expect(await lines.find('nothing', 9)).toEqual([]);
	});

	it('takes a line that only looks like a heading for text', () => {
		expect(logOf('==> not one of the worker’s\n').sections).toEqual([]);
	});

	it('holds a hundred megabytes, and finds a line in it', async () => {
		const lines = new LogLines();
		const piece = encode('  CC [M]  drivers/net/ethernet/intel/ice/ice_main.o and more\n'.repeat(16_384));
		while (lines.bytes < 100e6) lines.append(piece);
		lines.append(encode('the needle\n'));
		expect(lines.text(lines.count - 1)).toBe('the needle');
		expect(await lines.find('needle', 5)).toEqual([lines.count - 1]);
	}, 60_000);
});

describe('Folds', () => {
	const sections = [{ line: 2, name: 'a' }, { line: 5, name: 'b' }, { line: 9, name: 'c' }];

	it('shows of a folded section its heading', () => {
		const folds = new Folds(sections, new Set([2, 9]), 12);
		expect(folds.rows).toBe(8);
		expect(Array.from({ length: 8 }, (_, row) => folds.lineOf(row))).toEqual([0, 1, 2, 5, 6, 7, 8, 9]);
		expect([0, 2, 4, 5, 8, 9, 11].map((line) => folds.rowOf(line))).toEqual([0, 2, 2, 3, 6, 7, 7]);
	});

	it('knows the section of a line', () => {
		expect([0, 2, 4, 5, 11].map((line) => sectionOf(sections, line))).toEqual([undefined, 2, 2, 5, 9]);
	});
});

describe('viewOf', () => {
	it('draws what is in view and little more', () => {
		const view = viewOf(1000, 200 * ROW_PX, 400);
		expect(view.first).toBeLessThanOrEqual(200);
		expect(view.end).toBeGreaterThanOrEqual(220);
		expect(view.end - view.first).toBeLessThan(60);
		expect(view.top).toBe(view.first * ROW_PX);
	});

	it('reaches both ends of a list that is taller than a browser can draw', () => {
		const rows = 5_000_000;
		const { height } = viewOf(rows, 0, 400);
		expect(height).toBeLessThan(2 ** 24);
		expect(viewOf(rows, 0, 400).first).toBe(0);
		expect(viewOf(rows, height - 400, 400).end).toBe(rows);
		const at = scrollTo(2_500_000, rows, 400);
		const view = viewOf(rows, at, 400);
		expect(view.first).toBeLessThanOrEqual(2_500_000);
		expect(view.end).toBeGreaterThan(2_500_000);
	});
});
