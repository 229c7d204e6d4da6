/** Which rows of a long list are in view, and where: only these are drawn. */

export const ROW_PX = 20;
/** Browsers draw nothing taller; a longer list scrolls faster than it is long. */
const MAX_PX = 8_000_000;
/** Rows drawn beyond the view, so that scrolling finds them there. */
const MARGIN = 12;

export interface View {
	/** Height of the whole list, in pixels. */
	height: number;
	first: number;
	/** One past the last row. */
	end: number;
	/** Where the first row is, from the list's top. */
	top: number;
}

function scale(rows: number, viewPx: number): number {
	const full = rows * ROW_PX;
	return full <= MAX_PX ? 1 : (full - viewPx) / (MAX_PX - viewPx);
}

export function viewOf(rows: number, scrollTop: number, viewPx: number): View {
	const factor = scale(rows, viewPx);
	const offset = Math.max(0, scrollTop) * factor;
	const first = Math.max(0, Math.min(rows, Math.floor(offset / ROW_PX)) - MARGIN);
	const end = Math.min(rows, Math.ceil((offset + viewPx) / ROW_PX) + MARGIN);
	return {
		height: Math.min(rows * ROW_PX, MAX_PX),
		first,
		end,
		top: scrollTop + first * ROW_PX - offset
	};
}

/** Where to scroll so that a row is at the top. */
export function scrollTo(row: number, rows: number, viewPx: number): number {
	return (row * ROW_PX) / scale(rows, viewPx);
}
