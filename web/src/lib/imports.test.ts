import { expect, it } from 'vitest';
import type { Import, Kernel, Target } from './api';
import { bySeries, offers, percent } from './imports';

const kernel = (id: string) => ({ id: `debian:${id}`, package_version: '1', missing: [], first_seen_at: '', is_new: false }) as Kernel;

it('offers what is neither there nor on its way, and what has failed again', () => {
	const kernels = ['6.1.0-1-amd64', '6.1.0-2-amd64', '6.1.0-3-amd64', '6.1.0-4-amd64'].map(kernel);
	const targets = [{ id: 'debian:6.1.0-1-amd64' } as Target];
	const imports = [
		{ target: 'debian:6.1.0-2-amd64' } as Import,
		{ target: 'debian:6.1.0-3-amd64', ended_at: '2026-11-27T00:00:00Z', state: 'failed' } as Import
	];
	expect(offers(kernels, targets, imports).map(({ id }) => id)).toEqual(['debian:6.1.0-3-amd64', 'debian:6.1.0-4-amd64']);
});

it('has the distribution’s own series before backports', () => {
	const found = bySeries(['6.12.9+deb12-amd64', '6.1.0-50-amd64', '6.1.0-47-amd64'].map(kernel));
	expect(found.map(({ name, kernels }) => [name, kernels.length])).toEqual([['6.1', 2], ['6.12', 1]]);
});

it('knows how far a step is only where its size is known', () => {
	expect(percent({ done_bytes: 500, total_bytes: 2000 })).toBe(25);
	expect(percent({ done_bytes: 5, total_bytes: 4 })).toBe(100);
	expect(percent({ done_bytes: 5 })).toBeUndefined();
});
