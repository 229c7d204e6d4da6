import { describe, expect, it } from 'vitest';
import { readReport } from './report';

const NOTHING = { replaced: [], added: [], removed: [], dataAdded: [], refused: [], guests: [] };

describe('readReport', () => {
	it('gathers what all units replace and bring along', () => {
		const report = readReport({
			plan: {
				object: 'vmlinux',
				units: [
					{
						name: 'a.c',
						replaced: [{ name: 'f', unit: 'a.c', old_size: 10, new_size: 12, reason: 'code', callers: [] }],
						added: ['g'],
						removed: [],
						data_added: [{ name: 'reads', size: 4, section: '.data' }],
						refused: []
					},
					{ name: 'b.c', replaced: [{ name: 'h', unit: 'b.c', old_size: 1, new_size: 2 }], removed: ['i'] }
				]
			},
			file_match: { summary: { functions: 20, exact: 19 } },
			guests: [{ cpu: 'EPYC', checks: [1, 0, 1], numbers: { pause_ns: 41000 } }]
		});
		expect(report.object).toBe('vmlinux');
		expect(report.replaced.map(({ name }) => name)).toEqual(['f', 'h']);
		expect(report.replaced[0]).toMatchObject({ oldSize: 10, newSize: 12, reason: 'code' });
		expect([report.added, report.removed, report.dataAdded]).toEqual([['g'], ['i'], ['reads']]);
		expect(report.match).toEqual({ functions: 20, exact: 19 });
		expect(report.guests).toEqual([{ cpu: 'EPYC', checks: [1, 0, 1], pauseNs: 41000 }]);
	});

	it('takes any other JSON as saying nothing', () => {
		for (const other of [null, 3, 'x', [], {}, { plan: [] }, { plan: { units: [1, null, 'u'] } }, { guests: {} }]) {
			expect(readReport(other)).toMatchObject(NOTHING);
		}
	});
});
