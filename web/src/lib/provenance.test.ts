import { describe, expect, it } from 'vitest';
import { readProvenance } from './provenance';

const envelope = (statement: unknown) => JSON.stringify({
	payloadType: 'application/vnd.in-toto+json',
	payload: Buffer.from(JSON.stringify(statement)).toString('base64'),
	signatures: [{ keyid: 'ab12', sig: 'AAAA' }]
});

describe('readProvenance', () => {
	it('names package, builder and inputs', () => {
		const read = readProvenance(envelope({
			subject: [{ name: 'ü.rspl', digest: { sha256: '11' } }],
			predicate: {
				buildDefinition: { resolvedDependencies: [{ name: 'patch', digest: { sha256: '22' } }, { uri: 'pkg:deb/linux' }] },
				runDetails: { builder: { id: 'worker-1' } }
			}
		}));
		expect(read).toEqual({
			signers: ['ab12'], builder: 'worker-1', subjects: [{ name: 'ü.rspl', sha256: '11' }],
			inputs: [{ name: 'patch', sha256: '22' }, { name: 'pkg:deb/linux', sha256: '' }]
		});
	});

	it('refuses what says nothing, and survives what is odd', () => {
		expect(() => readProvenance(envelope({}))).toThrow('no package');
		expect(() => readProvenance('{}')).toThrow();
		expect(readProvenance(envelope({ subject: [{}], predicate: [] })).inputs).toEqual([]);
	});
});
