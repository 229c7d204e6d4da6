/** Asks again and again while a page is shown. */

const HIDDEN_MS = 30_000;

/**
 * Calls `ask` now and then every `pace()` milliseconds until the component
 * goes; more slowly while the tab is hidden. To be called while a component
 * is set up. The error of the latest call is in the result.
 */
export function poll(ask: () => Promise<void>, pace: () => number): { readonly error: unknown } {
	let error = $state<unknown>();
	$effect(() => {
		let timer: ReturnType<typeof setTimeout>;
		let gone = false;
		async function turn() {
			try {
				await ask();
				error = undefined;
			} catch (cause) {
				error = cause;
			}
			if (!gone) timer = setTimeout(turn, document.hidden ? HIDDEN_MS : pace());
		}
		// The first call must not tie the effect to what it reads.
		queueMicrotask(turn);
		return () => {
			gone = true;
			clearTimeout(timer);
		};
	});
	return {
		get error() {
			return error;
		}
	};
}
