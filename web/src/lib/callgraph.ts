/** Geometry of a function's neighbourhood: who calls it to the left, where it was inlined to the right. */
import type { FunctionFacts } from './report';

export interface GraphNode {
	name: string;
	role: 'caller' | 'pointer' | 'changed' | 'absorbed' | 'inlined';
	x: number;
	y: number;
	width: number;
}

export interface CallGraph {
	nodes: GraphNode[];
	/** SVG paths from one node to another. */
	edges: { from: string; to: string; path: string }[];
	width: number;
	height: number;
	/** Neighbours that are not drawn. */
	hidden: number;
}

const ROW_PX = 30;
const NODE_PX = 24;
/** Most neighbours on one side. */
const MOST = 8;

export function callGraph(facts: FunctionFacts, width: number): CallGraph {
	const column = Math.max(90, (width - 40) / 3);
	const pointer = facts.isAddressTaken ? [{ name: 'through a pointer', role: 'pointer' as const }] : [];
	const left = [...facts.callers.map((name) => ({ name, role: 'caller' as const })), ...pointer];
	const right = [
		...facts.absorbs.map((name) => ({ name, role: 'absorbed' as const })),
		...facts.inlinedInto.map((name) => ({ name, role: 'inlined' as const }))
	];
	const rows = Math.max(1, Math.min(MOST, left.length), Math.min(MOST, right.length));
	const height = rows * ROW_PX;
	const side = (list: { name: string; role: GraphNode['role'] }[], x: number): GraphNode[] => {
		const shown = list.slice(0, MOST);
		const top = (height - shown.length * ROW_PX) / 2;
		return shown.map((node, index) => ({ ...node, x, y: top + index * ROW_PX + ROW_PX / 2, width: column }));
	};
	const middle: GraphNode = { name: facts.name, role: 'changed', x: column + 20, y: height / 2, width: column };
	const [callers, others] = [side(left, 0), side(right, 2 * (column + 20))];
	const curve = (from: GraphNode, to: GraphNode) => {
		const [x1, x2] = [from.x + from.width, to.x];
		const bend = (x1 + x2) / 2;
		return `M${x1} ${from.y} C${bend} ${from.y} ${bend} ${to.y} ${x2} ${to.y}`;
	};
	return {
		nodes: [...callers, middle, ...others],
		edges: [
			...callers.map((node) => ({ from: node.name, to: middle.name, path: curve(node, middle) })),
			...others.map((node) => ({ from: middle.name, to: node.name, path: curve(middle, node) }))
		],
		width: 3 * column + 40,
		height,
		hidden: left.length + right.length - callers.length - others.length
	};
}

export { NODE_PX };

/** A name as far as it fits. */
export function fit(name: string, width: number): string {
	const most = Math.max(4, Math.floor((width - 12) / 7));
	return name.length <= most ? name : `${name.slice(0, most - 1)}…`;
}
