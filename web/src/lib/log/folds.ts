/** Which lines are shown while some sections are folded to their heading. */
import type { Section } from './lines';

export class Folds {
	/** Rows hidden before each folded section's end, in order. */
	readonly #gaps: { line: number; hidden: number; before: number }[] = [];
	readonly rows: number;

	constructor(sections: Section[], folded: ReadonlySet<number>, lines: number) {
		let before = 0;
		sections.forEach((section, index) => {
			const end = sections[index + 1]?.line ?? lines;
			const hidden = end - section.line - 1;
			if (!folded.has(section.line) || hidden <= 0) return;
			this.#gaps.push({ line: section.line, hidden, before });
			before += hidden;
		});
		this.rows = lines - before;
	}

	/** The line that is shown in a row. */
	lineOf(row: number): number {
		const gap = this.#last(({ line, before }) => line - before < row);
		return gap ? row + gap.before + gap.hidden : row;
	}

	/** The row that shows a line, or the heading that hides it. */
	rowOf(line: number): number {
		const gap = this.#last((gap) => gap.line < line);
		if (!gap) return line;
		if (line <= gap.line + gap.hidden) return gap.line - gap.before;
		return line - gap.before - gap.hidden;
	}

	#last(holds: (gap: { line: number; hidden: number; before: number }) => boolean) {
		let low = 0;
		let high = this.#gaps.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (holds(this.#gaps[middle]!)) low = middle + 1;
			else high = middle;
		}
		return this.#gaps[low - 1];
	}
}

/** The heading of the section that a line is in. */
export function sectionOf(sections: Section[], line: number): number | undefined {
	let found: number | undefined;
	for (const section of sections) {
		if (section.line > line) break;
		found = section.line;
	}
	return found;
}
