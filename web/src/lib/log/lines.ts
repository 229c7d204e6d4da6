/**
 * The lines of a log, kept as the bytes that came: a line is decoded when it is
 * shown, so that a log of a hundred megabytes costs little more than its bytes.
 */
import { AnsiReader, type Run } from '../ansi';

const NEWLINE = 10;
const ESCAPE = 27;
/** Longest piece of a line that is shown, in bytes. */
const MAX_LINE_BYTES = 16 << 10;
const HEADING = /^==> (\S.*)$/;
const ERROR = /\b(?:fatal )?error\b|\bFAILED\b|\*\*\* \[/i;
/** The colour in which the worker says what went wrong. */
const ERROR_CLASSES = 'red bold';
const COLOURS = /\x1b\[[0-9;]*m/g;
const SEARCH_BYTES = 1 << 20;

export interface Section {
	/** Line of its heading. */
	line: number;
	name: string;
}

export class LogLines {
	readonly #decoder = new TextDecoder();
	#bytes = new Uint8Array(1 << 16);
	#length = 0;
	/** Where each line begins; the last one may be empty, and then is none. */
	#starts = new Uint32Array(1 << 10);
	#begun = 1;
	/** What colours of earlier lines go on into a line, as the sequence that sets them. */
	readonly #carried = new Map<number, string>();
	readonly sections: Section[] = [];
	/** The first line that tells of an error. */
	firstError: number | undefined;

	get bytes(): number {
		return this.#length;
	}

	/** How many lines there are; one that has not ended yet counts. */
	get count(): number {
		return this.#start(this.#begun - 1) === this.#length ? this.#begun - 1 : this.#begun;
	}

	append(piece: Uint8Array): void {
		this.#reserve(piece.length);
		this.#bytes.set(piece, this.#length);
		const from = this.#length;
		this.#length += piece.length;
		const first = this.#begun - 1;
		const start = this.#start(first);
		const unread = this.#bytes.subarray(0, this.#length);
		let escape = unread.indexOf(ESCAPE, start);
		for (let at = unread.indexOf(NEWLINE, from); at >= 0; at = unread.indexOf(NEWLINE, at + 1)) {
			this.#end(at + 1, escape >= 0 && escape < at);
			if (escape >= 0 && escape < at) escape = unread.indexOf(ESCAPE, at);
		}
		this.#seekError(first);
	}

	/** What is shown in a line. */
	runs(line: number): Run[] {
		return this.#reader(line).read(this.#raw(line));
	}

	/** A line without colours. */
	text(line: number): string {
		return this.runs(line).map(({ text }) => text).join('');
	}

	/** Everything that has come. */
	all(): Uint8Array<ArrayBuffer> {
		return this.#bytes.slice(0, this.#length);
	}

	/** Lines with these words in them, whatever their case; at most `most`. */
	async find(words: string, most: number, signal?: AbortSignal): Promise<number[]> {
		const wanted = words.toLowerCase();
		const found: number[] = [];
		if (wanted === '') return found;
		let line = 0;
		while (line < this.count && found.length < most && !signal?.aborted) {
			const until = Math.min(this.count, Math.max(line + 1, this.#lineAt(this.#start(line) + SEARCH_BYTES)));
			this.#plain(line, until).forEach((text, index) => {
				if (found.length < most && text.toLowerCase().includes(wanted)) found.push(line + index);
			});
			line = until;
			await new Promise((done) => setTimeout(done));
		}
		return found;
	}

	#start(line: number): number {
		return line >= this.#begun ? this.#length : (this.#starts[line] ?? 0);
	}

	/** The line that a byte is in. */
	#lineAt(offset: number): number {
		let low = 0;
		let high = this.#begun - 1;
		while (low < high) {
			const middle = (low + high + 1) >> 1;
			if (this.#start(middle) <= offset) low = middle;
			else high = middle - 1;
		}
		return low;
	}

	#decode(from: number, to: number): string {
		return this.#decoder.decode(this.#bytes.subarray(from, to));
	}

	/** Lines without colours, all at once: much quicker than one by one. */
	#plain(from: number, to: number): string[] {
		const lines = this.#decode(this.#start(from), this.#start(to)).replace(COLOURS, '').split('\n');
		return lines.slice(0, to - from);
	}

	/** A line's text with its sequences, without its end. */
	#raw(line: number): string {
		const from = this.#start(line);
		const to = this.#start(line + 1);
		const end = to > from && this.#bytes[to - 1] === NEWLINE ? to - 1 : to;
		const long = end - from > MAX_LINE_BYTES;
		return this.#decode(from, long ? from + MAX_LINE_BYTES : end).replace(/\r+$/, '') + (long ? ' …' : '');
	}

	/** Knows the colours that earlier lines have set. */
	#reader(line: number): AnsiReader {
		const reader = new AnsiReader();
		reader.read(this.#carried.get(line) ?? '');
		return reader;
	}

	/** A line has ended, with a sequence in it or not; the next one starts at `next`. */
	#end(next: number, escaped: boolean): void {
		const line = this.#begun - 1;
		const coloured = escaped || this.#carried.has(line);
		if (this.#begun === this.#starts.length) {
			const more = new Uint32Array(this.#starts.length * 2);
			more.set(this.#starts);
			this.#starts = more;
		}
		this.#starts[this.#begun++] = next;
		if (coloured) this.#note(line);
	}

	/** Looks for a first error in the lines from `first` on that have ended. */
	#seekError(first: number): void {
		if (this.firstError !== undefined && this.firstError < first) return;
		const ended = this.firstError ?? this.#begun - 1;
		const at = this.#plain(first, ended).findIndex((text) => ERROR.test(text));
		if (at >= 0) this.firstError = first + at;
	}

	/** Keeps what a line with colours says of those that follow. */
	#note(line: number): void {
		const reader = this.#reader(line);
		const shown = reader.read(this.#raw(line));
		if (reader.state !== '') this.#carried.set(line + 1, reader.state);
		const name = HEADING.exec(shown.map(({ text }) => text).join(''))?.[1];
		if (name !== undefined) this.sections.push({ line, name });
		if (shown.some(({ classes }) => classes === ERROR_CLASSES)) this.firstError ??= line;
	}

	#reserve(more: number): void {
		if (this.#length + more <= this.#bytes.length) return;
		const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + more));
		grown.set(this.#bytes.subarray(0, this.#length));
		this.#bytes = grown;
	}
}
