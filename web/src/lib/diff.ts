/** A unified diff, taken apart for reading. */

export type LineKind = 'add' | 'del' | 'context' | 'hunk';

export interface DiffLine {
	kind: LineKind;
	/** Line number before and after; absent where there is none. */
	before?: number;
	after?: number;
	text: string;
}

export interface DiffFile {
	path: string;
	added: number;
	removed: number;
	lines: DiffLine[];
}

export interface Diff {
	/** What stands before the first file: subject and description. */
	preamble: string;
	files: DiffFile[];
}

const HUNK = /^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@/;

/** `a/net/ipv6/seg6.c<tab>date` without the leading component and the date. */
function pathOf(name: string): string {
	const path = name.split('\t')[0] ?? '';
	return path === '/dev/null' ? path : path.slice(path.indexOf('/') + 1).trimEnd();
}

/**
 * Reads what can be read and never fails: the server is the judge of a patch,
 * this only paints it.
 */
export function parseDiff(patch: string): Diff {
	const lines = patch.split('\n');
	const diff: Diff = { preamble: '', files: [] };
	const preamble: string[] = [];
	let file: DiffFile | undefined;
	let before = 0;
	let after = 0;
	let beforeLeft = 0;
	let afterLeft = 0;

	for (let i = 0; i < lines.length; i++) {
		const line = lines[i] ?? '';
		if (file && (beforeLeft > 0 || afterLeft > 0)) {
			const text = line.slice(1);
			if (line.startsWith('+')) {
				file.lines.push({ kind: 'add', after: after++, text });
				file.added++;
				afterLeft--;
			} else if (line.startsWith('-')) {
				file.lines.push({ kind: 'del', before: before++, text });
				file.removed++;
				beforeLeft--;
			} else if (!line.startsWith('\\')) {
				file.lines.push({ kind: 'context', before: before++, after: after++, text });
				beforeLeft--;
				afterLeft--;
			}
			continue;
		}
		const next = lines[i + 1] ?? '';
		if (line.startsWith('--- ') && next.startsWith('+++ ')) {
			const path = pathOf(next.slice(4));
			file = {
				path: path === '/dev/null' ? pathOf(line.slice(4)) : path,
				added: 0,
				removed: 0,
				lines: []
			};
			diff.files.push(file);
			i++;
			continue;
		}
		const hunk = HUNK.exec(line);
		if (file && hunk) {
			before = Number(hunk[1]);
			beforeLeft = Number(hunk[2] ?? 1);
			after = Number(hunk[3]);
			afterLeft = Number(hunk[4] ?? 1);
			file.lines.push({ kind: 'hunk', text: line });
		} else if (!file) {
			preamble.push(line);
		}
	}
	diff.preamble = preamble
		.filter((line) => !/^(diff --git|index [0-9a-f]+\.\.|---\s*$)/.test(line))
		.join('\n')
		.trim();
	return diff;
}

/** The patch's own subject, if its header has one: a good name for the update. */
export function subjectOf(diff: Diff): string | undefined {
	const line = /^Subject:\s*(.+)$/m.exec(diff.preamble)?.[1];
	return line?.replace(/^\[[^\]]*\]\s*/, '').trim();
}

/** CVE ids that a text names, each once. */
export function cvesIn(text: string): string[] {
	return [...new Set(text.toUpperCase().match(/\bCVE-\d{4}-\d{4,7}\b/g) ?? [])];
}
