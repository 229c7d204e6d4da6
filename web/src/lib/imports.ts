/** Which kernels are offered for import, and how far an import is. */
import type { Import, Kernel, Target } from './api';

/** What the archive has and the catalogue does not, and nobody is fetching. */
export function offers(kernels: Kernel[], targets: Target[], imports: Import[]): Kernel[] {
	const taken = new Set(targets.map(({ id }) => id));
	for (const { target, ended_at } of imports) if (!ended_at) taken.add(target);
	return kernels.filter(({ id }) => !taken.has(id));
}

/** By their first two numbers, in the order in which these come; those of the oldest series first, as it is the distribution's own. */
export function bySeries(kernels: Kernel[]): { name: string; kernels: Kernel[] }[] {
	const series = new Map<string, Kernel[]>();
	for (const kernel of kernels) {
		const name = /:(\d+\.\d+)/.exec(kernel.id)?.[1] ?? 'of another kind';
		series.set(name, [...(series.get(name) ?? []), kernel]);
	}
	return [...series].map(([name, kernels]) => ({ name, kernels })).reverse();
}

/** Of the step that is under way; nothing if its size is not known. */
export function percent({ done_bytes, total_bytes }: Pick<Import, 'done_bytes' | 'total_bytes'>): number | undefined {
	return total_bytes ? Math.min(100, Math.round((100 * done_bytes) / total_bytes)) : undefined;
}
