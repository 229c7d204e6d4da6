import { describe, expect, it } from 'vitest';
import { cvesIn, parseDiff, subjectOf } from './diff';

const PATCH = `Subject: [PATCH 1/2] ipv6: sr: look at the length first

Closes CVE-2026-72400.

---
--- a/net/ipv6/seg6.c\t2026-01-01
+++ b/net/ipv6/seg6.c\t2026-01-02
@@ -31,3 +31,4 @@ bool seg6_validate_srh
 	int trailing;
-	old();
+--- looks like a header
+	fresh();

--- a/gone.c
+++ /dev/null
@@ -1 +0,0 @@
-only line
\\ No newline at end of file
`;

describe('parseDiff', () => {
	const diff = parseDiff(PATCH);

	it('numbers lines before and after and counts them', () => {
		const file = diff.files[0];
		expect(file?.path).toBe('net/ipv6/seg6.c');
		expect([file?.added, file?.removed]).toEqual([2, 1]);
		expect(file?.lines[1]).toEqual({ kind: 'context', before: 31, after: 31, text: '\tint trailing;' });
		expect(file?.lines[3]).toEqual({ kind: 'add', after: 32, text: '--- looks like a header' });
	});

	it('names a deleted file by its old path', () => {
		expect(diff.files[1]).toMatchObject({ path: 'gone.c', added: 0, removed: 1 });
	});

	it('keeps the description apart and finds its subject', () => {
		expect(diff.preamble).toContain('Closes CVE-2026-72400.');
		expect(subjectOf(diff)).toBe('ipv6: sr: look at the length first');
	});

	it('takes text that is no diff without complaint', () => {
		expect(parseDiff('hello\n@@ -1 +1 @@\n').files).toEqual([]);
		expect(parseDiff('').files).toEqual([]);
	});

	it('does not choke on a hunk that promises more than there is', () => {
		const cut = parseDiff('--- a/x.c\n+++ b/x.c\n@@ -1,900 +1,900 @@\n one');
		expect(cut.files[0]?.lines.length).toBe(2);
	});
});

it('cvesIn finds each id once', () => {
	expect(cvesIn('cve-2026-72400, CVE-2026-72400 CVE-26-1 CVE-2025-0001')).toEqual([
		'CVE-2026-72400',
		'CVE-2025-0001'
	]);
});
