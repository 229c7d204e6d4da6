import { describe, expect, it } from 'vitest';
import { align, difference, pieces, words } from './listing';

/** Instructions of four bytes each; `jmp@2` leads to the third. */
const code = (...texts: string[]) => ({
	cut_bytes: 0,
	lines: texts.map((text, index) => {
		const [words, to] = text.split('@');
		return { offset: index * 4, bytes: '90', text: words!, ...(to !== undefined && { target: Number(to) * 4 }) };
	})
});
const drawn = (pre: string[], post: string[]) =>
	align(code(...pre), code(...post)).map(({ kind, pre, post }) => `${kind}: ${pre?.text ?? ''}|${post?.text ?? ''}`);

describe('align', () => {
	it('sets equal instructions into one row, and new ones beside nothing', () => {
		expect(drawn(['push', 'mov', 'ret'], ['push', 'test', 'mov', 'ret'])).toEqual([
			'same: push|push', 'added: |test', 'same: mov|mov', 'same: ret|ret'
		]);
		expect(drawn(['a', 'b', 'c'], ['a', 'c'])).toEqual(['same: a|a', 'removed: b|', 'same: c|c']);
	});

	it('sets instructions that take each other’s place side by side', () => {
		expect(drawn(['a', 'x', 'y', 'b'], ['a', 'z', 'b'])).toEqual(['same: a|a', 'changed: x|z', 'removed: y|', 'same: b|b']);
		expect(drawn([], ['a'])).toEqual(['added: |a']);
	});

	it('takes a branch for the same if what it leads to has only moved', () => {
		expect(drawn(['jl@2', 'a', 'ret'], ['jl@3', 'a', 'new', 'ret'])[0]).toBe('same: jl|jl');
		expect(drawn(['jl@2', 'a', 'ret'], ['jl@1', 'a', 'ret'])[0]).toBe('changed: jl|jl');
	});

	it('aligns functions of thousands of instructions, and does not try with more', () => {
		const long = Array.from({ length: 2000 }, (_, i) => `op ${i}`);
		const odd = long.map((text, i) => (i % 7 === 0 ? `${text}!` : text));
		expect(align(code(...long), code(...odd)).filter(({ kind }) => kind === 'same')).toHaveLength(1714);
		const huge = [...odd, ...odd];
		expect(align(code('a', ...huge), code('b', ...huge, 'c'))).toHaveLength(4002);
	});
});

it('hides equal rows that are far from others', () => {
	const pre = Array.from({ length: 20 }, (_, i) => `op ${i}`);
	const found = pieces(align(code(...pre), code(...pre.with(10, 'other'))));
	expect(found.map((piece) => ('rows' in piece ? piece.rows.length : -piece.hidden))).toEqual([-7, 7, -6]);
	expect(difference(align(code(...pre), code(...pre.with(10, 'other'), 'more')))).toBe('1 changed, 1 added');
	expect(words({ offset: 0, bytes: '', text: 'jl', target: 26 })).toBe('jl → 0x1a');
});
