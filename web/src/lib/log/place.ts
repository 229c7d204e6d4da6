/** Where in a log somebody was, so that a reload goes on there. */

export class Place {
	readonly #key: string;

	constructor(job: string, attempt: number) {
		this.#key = `resplice.log.${job}.${attempt}`;
	}

	/** The line at the top; none while the end is followed. */
	get line(): number | undefined {
		const text = sessionStorage.getItem(this.#key);
		return text === null ? undefined : Number(text);
	}

	keep(line: number | undefined): void {
		if (line === undefined || !Number.isFinite(line)) sessionStorage.removeItem(this.#key);
		else sessionStorage.setItem(this.#key, String(Math.max(0, line)));
	}
}
