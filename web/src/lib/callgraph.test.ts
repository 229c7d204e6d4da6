import { describe, expect, it } from 'vitest';
import { callGraph, fit } from './callgraph';

const facts = (rest: object) => ({
	name: 'f', unit: 'a.c', file: 'a.c', scope: 'static', isAddressTaken: false, callers: [], absorbs: [], inlinedInto: [], ...rest
});

describe('callGraph', () => {
	it('puts callers to the left and what it is inlined with to the right, each with an edge', () => {
		const graph = callGraph(facts({ callers: ['a', 'b'], inlinedInto: ['c'], isAddressTaken: true }), 600);
		const at = (name: string) => graph.nodes.find((node) => node.name === name)!;
		expect(at('a').x < at('f').x && at('f').x < at('c').x).toBe(true);
		expect(at('through a pointer').role).toBe('pointer');
		expect(graph.edges.map(({ from, to }) => `${from}>${to}`)).toEqual(['a>f', 'b>f', 'through a pointer>f', 'f>c']);
		for (const { x, y, width } of graph.nodes) expect(x >= 0 && x + width <= graph.width && y > 0 && y < graph.height).toBe(true);
	});

	it('draws a function that nobody calls, and says how many it leaves out', () => {
		expect(callGraph(facts({}), 600).nodes).toHaveLength(1);
		const many = callGraph(facts({ callers: Array.from({ length: 40 }, (_, n) => `c${n}`) }), 600);
		expect([many.nodes.length, many.hidden]).toEqual([9, 32]);
	});

	it('cuts names that do not fit', () => {
		expect([fit('short', 200), fit('a_very_long_function_name', 90)]).toEqual(['short', 'a_very_lon…']);
	});
});
