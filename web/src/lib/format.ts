/** Numbers and times as people read them. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB'];

export function bytes(count: number): string {
	let unit = 0;
	let value = count;
	while (value >= 1024 && unit < UNITS.length - 1) {
		value /= 1024;
		unit += 1;
	}
	return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[unit]}`;
}

/** A duration in milliseconds: "340 ms", "4.2 s", "2 min 05 s", "3 h 10 min". */
export function duration(millis: number): string {
	if (millis < 1000) return `${Math.round(millis)} ms`;
	const seconds = millis / 1000;
	if (seconds < 60) return `${seconds.toFixed(1)} s`;
	const minutes = Math.floor(seconds / 60);
	if (minutes < 60) return `${minutes} min ${pad(Math.floor(seconds % 60))} s`;
	return `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} min`;
}

/** A pause in nanoseconds, in microseconds. */
export function pause(nanos: number): string {
	const micros = nanos / 1000;
	return `${micros < 10 ? micros.toFixed(1) : Math.round(micros).toLocaleString('en')} µs`;
}

/** How long ago: "just now", "4 min ago", "3 days ago". */
export function age(time: string, now: number = Date.now()): string {
	const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
	if (seconds < 10) return 'just now';
	if (seconds < 60) return `${Math.floor(seconds)} s ago`;
	if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
	if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
	const days = Math.floor(seconds / 86400);
	return days === 1 ? 'yesterday' : `${days} days ago`;
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** Dates in the reader's own way. To make such a format takes longer than to use it a hundred times. */
function dates(options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
	const key = JSON.stringify(options);
	const format = formats.get(key) ?? new Intl.DateTimeFormat(undefined, options);
	formats.set(key, format);
	return format;
}

/** Date and time in the reader's own zone. */
export function moment(time: string): string {
	return dates({ dateStyle: 'medium', timeStyle: 'medium' }).format(new Date(time));
}

export function clock(time: string): string {
	return dates({ timeStyle: 'medium', hour12: false }).format(new Date(time));
}

/** The time of today, or else the day. */
export function clockOrDay(time: string, now: Date = new Date()): string {
	const at = new Date(time);
	if (at.toDateString() === now.toDateString()) return clock(time);
	const year = at.getFullYear() === now.getFullYear() ? undefined : 'numeric';
	return dates({ day: 'numeric', month: 'short', year }).format(at);
}

/** "+24 B", "−8 B", "same size". */
export function sizeChange(before: number, after: number): string {
	const change = after - before;
	if (change === 0) return 'same size';
	return `${change > 0 ? '+' : '−'}${bytes(Math.abs(change))}`;
}

/** `debian:6.1.0-50-cloud-amd64` without the distribution. */
export function shortTarget(id: string): string {
	return id.slice(id.indexOf(':') + 1);
}

function pad(value: number): string {
	return String(value).padStart(2, '0');
}
