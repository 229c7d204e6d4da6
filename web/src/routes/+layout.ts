import { session } from '$lib/session.svelte';

// Everything shown needs a token, which only the browser has.
export const ssr = false;
export const prerender = false;

let resumed = false;

/** Asks who is signed in while the page's own script is still on its way. */
export function load(): void {
	if (!resumed) void session.resume();
	resumed = true;
}
