import { describe, expect, it } from 'vitest';
import { AnsiReader } from './ansi';

const read = (...pieces: string[]) => {
	const reader = new AnsiReader();
	return pieces.flatMap((piece) => reader.read(piece));
};

describe('AnsiReader', () => {
	it('names colours and attributes until they are reset', () => {
		expect(read('a\x1b[1;31mb\x1b[22mc\x1b[0md')).toEqual([
			{ text: 'a', classes: '' },
			{ text: 'b', classes: 'red bold' },
			{ text: 'c', classes: 'red' },
			{ text: 'd', classes: '' }
		]);
		expect(read('\x1b[96mx\x1b[my')).toEqual([
			{ text: 'x', classes: 'bright cyan' },
			{ text: 'y', classes: '' }
		]);
	});

	it('understands a sequence that is cut between two pieces', () => {
		for (const cut of [1, 2, 3, 4]) {
			const text = '\x1b[32mok';
			const runs = read(text.slice(0, cut), text.slice(cut));
			expect(runs).toEqual([{ text: 'ok', classes: 'green' }]);
		}
	});

	it('drops every other sequence', () => {
		expect(read('\x1b]0;title\x07a\x1b[2Kb\x1b(Bc\x1b[?25ld')).toEqual(
			['a', 'b', 'c', 'd'].map((text) => ({ text, classes: '' }))
		);
		expect(read('\x1b[38;5;196mx\x1b[48;2;1;31;3my')).toEqual(
			['x', 'y'].map((text) => ({ text, classes: '' }))
		);
	});

	it('leaves markup as text', () => {
		expect(read('<b>&amp;')).toEqual([{ text: '<b>&amp;', classes: '' }]);
	});

	it('shows the last state of a line that returns to its start', () => {
		expect(read('10 %\r20 %\r\nend')).toEqual([{ text: '20 %\nend', classes: '' }]);
	});

	it('does not wait for ever for a sequence that never ends', () => {
		const runs = read('\x1b]' + 'x'.repeat(300), 'y');
		expect(runs.map((run) => run.text).join('')).toContain('y');
	});
});
