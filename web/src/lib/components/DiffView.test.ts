import { render } from 'svelte/server';
import { describe, expect, it } from 'vitest';
import { parseDiff } from '$lib/diff';
import DiffView from './DiffView.svelte';

const drawn = (patch: string) => render(DiffView, { props: { diff: parseDiff(patch) } }).body;
const rows = (html: string, kind: string) => [...html.matchAll(new RegExp(`class="${kind}[ "]`, 'g'))].length;

describe('DiffView', () => {
	it('draws each line by its kind, with its numbers before and after', () => {
		const html = drawn('--- a/fs/x.c\n+++ b/fs/x.c\n@@ -7,3 +7,4 @@ int f(void)\n a\n-b\n+c\n+d\n e\n');
		expect([rows(html, 'add'), rows(html, 'del'), rows(html, 'context'), rows(html, 'hunk')]).toEqual([2, 1, 2, 1]);
		expect(html).toContain('fs/x.c');
		const numbers = [...html.matchAll(/class="no[^>]*>(\d*)</g)].map(([, number]) => number);
		expect(numbers).toEqual(['', '', '7', '7', '8', '', '', '8', '', '9', '9', '10']);
	});

	it('shows markup in a patch as text', () => {
		const html = drawn('Subject: <b>x</b>\n--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n-<script>\n+</script>\n');
		expect(html).not.toMatch(/<script|<b>/);
		expect(html).toContain('&lt;b>x');
	});

	it('does not draw a huge file at once, and says how much there is', () => {
		const lines = Array.from({ length: 5000 }, (_, i) => `+line ${i}\n`).join('');
		const html = drawn(`--- a/x.c\n+++ b/x.c\n@@ -0,0 +1,5000 @@\n${lines}`);
		expect(rows(html, 'add')).toBeLessThan(2001);
		expect(html).toContain('Show all 5001 lines');
	});
});
