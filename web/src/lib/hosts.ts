/** What hosts are looked for, as the page's address says it. */

export interface HostFilter {
	q?: string;
	target?: string;
	channel?: string;
	group?: string;
	state?: string;
	failed?: string;
	open_to?: string;
}

export const FILTERS = ['q', 'target', 'channel', 'group', 'state', 'failed', 'open_to'] as const;

export function readFilter(address: URLSearchParams): HostFilter {
	const filter: HostFilter = {};
	for (const name of FILTERS) {
		const value = address.get(name);
		if (value) filter[name] = value;
	}
	return filter;
}

export function writeFilter(filter: HostFilter): string {
	const address = new URLSearchParams();
	for (const name of FILTERS) {
		const value = filter[name];
		if (value) address.set(name, value);
	}
	const text = address.toString();
	return text ? `/hosts?${text}` : '/hosts';
}

/** A host that has not asked for this long is called silent; the server counts the same. */
export const SILENT_MS = 10 * 60_000;

export function isSilent(lastSeen: string, now: number): boolean {
	return now - Date.parse(lastSeen) > SILENT_MS;
}
