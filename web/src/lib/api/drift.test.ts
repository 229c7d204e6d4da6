/** The client is held against the server's own document: what does not fit, does not compile. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import openapiTS, { astToString, type OpenAPI3 } from 'openapi-typescript';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const HERE = import.meta.dirname;
const DOCUMENT = join(HERE, '../../../../server/api/openapi.json');
const SCHEMA = join(HERE, 'schema.d.ts');
const OPTIONS: ts.CompilerOptions = {
	strict: true, noEmit: true, skipLibCheck: true, noUncheckedIndexedAccess: true, types: [],
	target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext,
	moduleResolution: ts.ModuleResolutionKind.Bundler, lib: ['lib.esnext.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts']
};

/** What no document changes is read once. */
const PARSED = new Map<string, ts.SourceFile | undefined>();

/** What the compiler says of the client if the document is this. */
async function complaints(change: (text: string) => string): Promise<string[]> {
	const document = JSON.parse(change(readFileSync(DOCUMENT, 'utf8'))) as OpenAPI3;
	const schema = astToString(await openapiTS(document));
	const host = ts.createCompilerHost(OPTIONS);
	const { getSourceFile, fileExists } = host;
	host.fileExists = (name) => name === SCHEMA || fileExists(name);
	host.getSourceFile = (name, language) => {
		if (name === SCHEMA) return ts.createSourceFile(name, schema, language);
		if (!PARSED.has(name)) PARSED.set(name, getSourceFile(name, language));
		return PARSED.get(name);
	};
	const program = ts.createProgram([join(HERE, 'index.ts'), join(HERE, '../timeline.ts')], OPTIONS, host);
	return ts.getPreEmitDiagnostics(program).map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '));
}

describe('the client and the server’s document', { timeout: 60_000 }, () => {
	it('fit', async () => {
		expect(await complaints((text) => text)).toEqual([]);
	});

	it('no longer fit when a path, a parameter or a field has another name', async () => {
		const found = await complaints((text) =>
			text.replaceAll('"/whoami"', '"/me"').replaceAll('"name": "before"', '"name": "older"').replaceAll('"pause_ns"', '"pause_us"')
		);
		for (const name of ['"/whoami"', "'before'", "'pause_ns'"]) {
			expect(found.filter((complaint) => complaint.includes(name)), name).not.toEqual([]);
		}
	});
});
