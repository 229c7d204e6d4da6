import { describe, expect, it } from 'vitest';
import { readReport } from './report';

const NOTHING = { objects: [], replaced: [], added: [], removed: [], dataAdded: [], exchanged: [], refused: [], declared: [], guests: [] };

describe('readReport', () => {
	it('gathers what all units replace and bring along', () => {
		const report = readReport({
			plans: [{
				object: 'vmlinux',
				units: [
					{
						name: 'a.c',
						replaced: [{ name: 'f', unit: 'a.c', old_size: 10, new_size: 12, reason: 'code', callers: [] }],
						added: ['g'],
						removed: [],
						data_added: [{ name: 'reads', size: 4, section: '.data' }],
						exchanged: [{ name: 'limit', unit: 'a.c', size: 8, bytes: 4, section: '.data', reason: 'x' }],
						refused: []
					},
					{ name: 'b.c', replaced: [{ name: 'h', unit: 'b.c', old_size: 1, new_size: 2 }], removed: ['i'] }
				]
			}, { object: 'beta', units: [{ name: 'c.c', replaced: [{ name: 'k', unit: 'c.c' }] }] },
			{ object: 'gamma', units: [] }],
			file_matches: [{ summary: { functions: 20, exact: 19 } }, { summary: { functions: 3, exact: 3 } }],
			guests: [{ cpu: 'EPYC', checks: [1, 0, 1], numbers: { pause_ns: 41000 } }]
		});
		expect(report.objects).toEqual(['vmlinux', 'beta']);
		expect(report.replaced.map(({ name }) => name)).toEqual(['f', 'h', 'k']);
		expect(report.replaced.map(({ object }) => object)).toEqual(['vmlinux', 'vmlinux', 'beta']);
		expect(report.replaced[0]).toMatchObject({ oldSize: 10, newSize: 12, reason: 'code' });
		expect([report.added, report.removed, report.dataAdded]).toEqual([['g'], ['i'], ['reads']]);
		expect(report.exchanged).toEqual([{ name: 'limit', bytes: 4, size: 8 }]);
		expect(report.match).toEqual({ functions: 23, exact: 22 });
		expect(report.guests).toEqual([{ cpu: 'EPYC', checks: [1, 0, 1], pauseNs: 41000 }]);
	});

	it('says once what several modules share of what is declared', () => {
		const unit = {
			name: 'a.c',
			declared: [{ kind: 'init-done', name: 'start', is_needed: true, reason: 'it ran' }, { kind: 'data-keep', name: 'v' }]
		};
		expect(readReport({ plans: [{ object: 'one', units: [unit] }, { object: 'two', units: [unit] }] }).declared).toEqual([
			{ what: 'init-done', unit: 'a.c', name: 'start', reason: 'it ran' },
			{ what: 'data-keep', unit: 'a.c', name: 'v', reason: undefined }
		]);
	});

	it('takes any other JSON as saying nothing', () => {
		for (const other of [null, 3, 'x', [], {}, { plans: {} }, { plans: [{ units: [1, null, 'u'] }] }, { guests: {} }]) {
			expect(readReport(other)).toMatchObject(NOTHING);
		}
	});
});
