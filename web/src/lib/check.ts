/** A check: what the verification runs in a guest before and after the update. */
import type { Check, CheckFile } from './api';

/** The server's own limits. */
const MAX_BYTES = 8 << 20;
const MAX_FILES = 64;
const EXECUTABLE = 0o755;

function base64(bytes: Uint8Array): string {
	// In pieces: a call takes only so many arguments.
	const pieces: string[] = [];
	for (let at = 0; at < bytes.length; at += 0x8000) {
		pieces.push(String.fromCharCode(...bytes.subarray(at, at + 0x8000)));
	}
	return btoa(pieces.join(''));
}

async function encode(file: File): Promise<CheckFile> {
	const bytes = new Uint8Array(await file.arrayBuffer());
	return { name: file.name, mode: EXECUTABLE, base64: base64(bytes) };
}

/**
 * Makes a check of files and a script; nothing of nothing. A single program
 * without a script is what runs.
 */
export async function makeCheck(files: File[], script: string): Promise<Check | undefined> {
	if (files.length === 0 && script.trim() === '') return undefined;
	if (files.length > MAX_FILES) throw new Error(`A check may have at most ${MAX_FILES} files.`);
	if (files.reduce((sum, file) => sum + file.size, 0) > MAX_BYTES) {
		throw new Error(`A check’s files may have at most ${MAX_BYTES >> 20} MiB together.`);
	}
	const bad = files.find(({ name }) => !/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name));
	if (bad) throw new Error(`“${bad.name}”: a check’s file is named by letters, digits, “.”, “_” and “-”.`);
	const encoded = await Promise.all(files.map(encode));
	if (script.trim() !== '') return { script: script.replaceAll('\r\n', '\n'), files: encoded };
	const only = encoded[0];
	if (encoded.length === 1 && only) return { files: [{ ...only, name: 'check' }] };
	if (!encoded.some(({ name }) => name === 'check')) {
		throw new Error('Write a script that says which of the check’s files is run, or name one of them “check”.');
	}
	return { files: encoded };
}
