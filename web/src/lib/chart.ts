/** Geometry of the small charts: numbers in, places of shapes out. */

export interface Column {
	label: string;
	count: number;
	/** What stands below it. */
	tick?: string;
	/** Whether its number stands above it. */
	numbered?: boolean;
}

export interface DrawnColumn extends Column {
	x: number;
	y: number;
	width: number;
	height: number;
	anchor: 'start' | 'middle' | 'end';
	/** Where its tick is anchored. */
	tickX: number;
	top?: string;
}

/** Room above the highest column for its number. */
const HEAD = 18;
const GAP = 0.25;
/** What is not nothing is to be seen. */
const LEAST = 2;

/** Columns side by side in a field of this size, its origin at the top left. */
export function columnsOf(columns: Column[], width: number, height: number): DrawnColumn[] {
	const highest = Math.max(1, ...columns.map(({ count }) => count));
	const step = width / Math.max(1, columns.length);
	return columns.map((column, index) => {
		const [x, broad] = [index * step + (step * GAP) / 2, step * (1 - GAP)];
		const anchor = index === 0 ? 'start' : index === columns.length - 1 ? 'end' : 'middle';
		const tall = column.count === 0 ? 0 : Math.max(LEAST, ((height - HEAD) * column.count) / highest);
		return {
			...column,
			x,
			y: height - tall,
			width: broad,
			height: tall,
			anchor,
			tickX: { start: x, middle: x + broad / 2, end: x + broad }[anchor],
			top: column.numbered && column.count > 0 ? column.count.toLocaleString('en') : undefined
		};
	});
}
