/** The instructions of a function before and after, row by row. */
import type { CodeListing, InstructionLine } from './api';

export type RowKind = 'same' | 'changed' | 'removed' | 'added';

export interface Row {
	kind: RowKind;
	pre?: InstructionLine;
	post?: InstructionLine;
}

/** A run of rows, or so many equal ones that are not shown. */
export type Piece = { rows: Row[] } | { hidden: number };

/** Equal rows that are shown around others. */
const CONTEXT = 3;
/** Most pairs of instructions that are compared; functions beyond that stand side by side as they are. */
const MOST_PAIRS = 5_000_000;

/** Pairs of lines with the same text in both, ascending: the longest such list. */
function common(pre: InstructionLine[], post: InstructionLine[]): [number, number][] {
	let start = 0;
	while (start < pre.length && start < post.length && pre[start]!.text === post[start]!.text) start++;
	let [preEnd, postEnd] = [pre.length, post.length];
	while (preEnd > start && postEnd > start && pre[preEnd - 1]!.text === post[postEnd - 1]!.text) [preEnd, postEnd] = [preEnd - 1, postEnd - 1];

	const pairs: [number, number][] = Array.from({ length: start }, (_, i) => [i, i]);
	const [height, width] = [preEnd - start, postEnd - start];
	if (height * width <= MOST_PAIRS) {
		const stride = width + 1;
		const longest = new Uint16Array((height + 1) * stride);
		for (let i = height - 1; i >= 0; i--) {
			for (let j = width - 1; j >= 0; j--) {
				longest[i * stride + j] = pre[start + i]!.text === post[start + j]!.text
					? longest[(i + 1) * stride + j + 1]! + 1
					: Math.max(longest[(i + 1) * stride + j]!, longest[i * stride + j + 1]!);
			}
		}
		for (let i = 0, j = 0; i < height && j < width;) {
			if (pre[start + i]!.text === post[start + j]!.text) pairs.push([start + i++, start + j++]);
			else if (longest[(i + 1) * stride + j]! >= longest[i * stride + j + 1]!) i++;
			else j++;
		}
	}
	for (let i = 0; preEnd + i < pre.length; i++) pairs.push([preEnd + i, postEnd + i]);
	return pairs;
}

/**
 * Sets the two versions side by side. Equal instructions share a row; a branch is
 * equal if it leads to the same row, wherever that has moved to.
 */
export function align(pre: CodeListing, post: CodeListing): Row[] {
	const rows: Row[] = [];
	let [i, j] = [0, 0];
	const differing = (preEnd: number, postEnd: number) => {
		while (i < preEnd || j < postEnd) {
			const before = i < preEnd ? pre.lines[i++] : undefined;
			const after = j < postEnd ? post.lines[j++] : undefined;
			rows.push({ kind: before && after ? 'changed' : before ? 'removed' : 'added', pre: before, post: after });
		}
	};
	for (const [before, after] of common(pre.lines, post.lines)) {
		differing(before, after);
		rows.push({ kind: 'same', pre: pre.lines[i++], post: post.lines[j++] });
	}
	differing(pre.lines.length, post.lines.length);

	const preRow = new Map(rows.map(({ pre }, index) => [pre?.offset, index]));
	const postRow = new Map(rows.map(({ post }, index) => [post?.offset, index]));
	for (const row of rows.filter(({ kind }) => kind === 'same')) {
		const [before, after] = [row.pre?.target, row.post?.target];
		if (before === undefined && after === undefined) continue;
		const leads = [preRow.get(before ?? undefined), postRow.get(after ?? undefined)];
		// Beyond what is listed, only the offset tells.
		const isSame = leads[0] === undefined || leads[1] === undefined ? before === after : leads[0] === leads[1];
		if (!isSame) row.kind = 'changed';
	}
	return rows;
}

/** The rows that differ, with some around them. */
export function pieces(rows: Row[]): Piece[] {
	const shown = new Uint8Array(rows.length);
	rows.forEach((row, index) => {
		if (row.kind !== 'same') shown.fill(1, Math.max(0, index - CONTEXT), index + CONTEXT + 1);
	});
	const found: Piece[] = [];
	rows.forEach((row, index) => {
		const last = found.at(-1);
		if (shown[index]) {
			if (last && 'rows' in last) last.rows.push(row);
			else found.push({ rows: [row] });
		} else if (last && 'hidden' in last) last.hidden++;
		else found.push({ hidden: 1 });
	});
	return found;
}

export const hex = (offset: number) => `0x${offset.toString(16)}`;

/** An instruction as it reads, with the place that a branch leads to. */
export function words(line: InstructionLine): string {
	return line.target === undefined || line.target === null ? line.text : `${line.text} → ${hex(line.target)}`;
}

/** How much differs, in words. */
export function difference(rows: Row[]): string {
	const count = (kind: RowKind) => rows.filter((row) => row.kind === kind).length;
	const parts = (['changed', 'added', 'removed'] as const).map((kind) => [count(kind), kind] as const);
	const said = parts.filter(([many]) => many > 0).map(([many, kind]) => `${many} ${kind}`);
	return said.length > 0 ? said.join(', ') : 'nothing differs';
}
