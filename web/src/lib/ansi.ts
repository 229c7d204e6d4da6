/**
 * Colours of a terminal's output (ECMA-48 SGR), as classes and not as style
 * attributes, which the page's content security policy forbids. Every other
 * escape sequence is dropped, and so are 256 and direct colours.
 */

export interface Run {
	text: string;
	/** Class names, separated by blanks; empty for plain text. */
	classes: string;
}

const COLOURS = ['black', 'red', 'green', 'yellow', 'blue', 'magenta', 'cyan', 'white'];
const ATTRIBUTES: Record<number, string> = { 1: 'bold', 2: 'faint', 3: 'italic', 4: 'underline' };

/** CSI, OSC (up to its end) and two-byte sequences. */
const SEQUENCE = /\x1b(?:\[([0-9;:?]*)[ -/]*([@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])/g;
/** The beginning of a sequence at the end of a piece: its rest is to come. */
const UNFINISHED = /\x1b(?:\[[0-9;:?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]*)?$/;
/** A sequence longer than this is no sequence. */
const LONGEST = 256;

/** Turns pieces of output into runs; what a piece leaves open goes on in the next. */
export class AnsiReader {
	#colour = '';
	#attributes = new Set<string>();
	#rest = '';

	/** The sequence that sets what is set now; empty if nothing is. */
	get state(): string {
		const codes = [...this.#attributes].map((name) => Object.keys(ATTRIBUTES).find((code) => ATTRIBUTES[Number(code)] === name));
		const bright = this.#colour.startsWith('bright ');
		const colour = COLOURS.indexOf(this.#colour.replace('bright ', ''));
		if (colour >= 0) codes.push(String(colour + (bright ? 90 : 30)));
		return codes.length === 0 ? '' : `\x1b[${codes.join(';')}m`;
	}

	read(piece: string): Run[] {
		let text = this.#rest + piece;
		this.#rest = '';
		const open = UNFINISHED.exec(text);
		if (open && text.length - open.index < LONGEST) {
			this.#rest = text.slice(open.index);
			text = text.slice(0, open.index);
		}
		const runs: Run[] = [];
		let from = 0;
		for (const match of text.matchAll(SEQUENCE)) {
			this.#push(runs, text.slice(from, match.index));
			from = match.index + match[0].length;
			if (match[2] === 'm') this.#select(match[1] ?? '');
		}
		this.#push(runs, text.slice(from));
		return runs;
	}

	#push(runs: Run[], text: string) {
		// Cut off what a terminal would overwrite: progress that returns to the line's start.
		const shown = text.replace(/\r+\n/g, '\n').replace(/[^\n]*\r(?=[^\n])/g, '');
		if (shown === '') return;
		const classes = [this.#colour, ...this.#attributes].filter((name) => name !== '').join(' ');
		runs.push({ text: shown, classes });
	}

	#select(parameters: string) {
		const codes = parameters.split(/[;:]/).map(Number);
		for (let i = 0; i < codes.length; i++) {
			const code = codes[i] ?? 0;
			if (code === 38 || code === 48) {
				i += codes[i + 1] === 2 ? 4 : 2;
			} else {
				this.#apply(code);
			}
		}
	}

	#apply(code: number) {
		const attribute = ATTRIBUTES[code];
		if (code === 0) {
			this.#colour = '';
			this.#attributes.clear();
		} else if (attribute) {
			this.#attributes.add(attribute);
		} else if (code === 22) {
			this.#attributes.delete('bold');
			this.#attributes.delete('faint');
		} else if (code === 23 || code === 24) {
			this.#attributes.delete(code === 23 ? 'italic' : 'underline');
		} else if (code === 39) {
			this.#colour = '';
		} else if (code >= 30 && code <= 37) {
			this.#colour = COLOURS[code - 30] ?? '';
		} else if (code >= 90 && code <= 97) {
			this.#colour = `bright ${COLOURS[code - 90] ?? ''}`;
		}
	}
}
