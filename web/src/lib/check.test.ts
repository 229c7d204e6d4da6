import { expect, it } from 'vitest';
import { makeCheck } from './check';

const file = (name: string, content: BlobPart = 'x') => new File([content], name);

it('is nothing when nothing was given', async () => {
	expect(await makeCheck([], ' \n')).toBeUndefined();
});

it('runs a single program under the name that the server runs', async () => {
	expect(await makeCheck([file('seg6-check', 'ELF')], '')).toEqual({
		files: [{ name: 'check', mode: 0o755, base64: btoa('ELF') }]
	});
});

it('keeps names when a script says what to run', async () => {
	const check = await makeCheck([file('a'), file('b')], './a\r\n./b\r\n');
	expect(check?.script).toBe('./a\n./b\n');
	expect(check?.files?.map(({ name }) => name)).toEqual(['a', 'b']);
});

it('carries every byte value of a large file', async () => {
	const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i % 256);
	const check = await makeCheck([file('check', bytes)], '');
	expect(Buffer.from(check?.files?.[0]?.base64 ?? '', 'base64').equals(bytes)).toBe(true);
});

it('refuses what the server would refuse', async () => {
	await expect(makeCheck([file('a'), file('b')], '')).rejects.toThrow('which of');
	await expect(makeCheck([file('../a')], '')).rejects.toThrow('letters');
	await expect(makeCheck([file('a', new Uint8Array((8 << 20) + 1))], '')).rejects.toThrow('8 MiB');
});
