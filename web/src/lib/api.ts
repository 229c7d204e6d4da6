/** What the server says over HTTP: the types of server/api and the calls on them. */

export type JobStatus =
	'queued' | 'running' | 'built' | 'failed' | 'refused' | 'nothing' | 'needs_code' | 'cancelled';
export type Role = 'team' | 'engineer' | 'worker' | 'enrol' | 'host' | 'vendor' | 'admin';
/** How far an update has got, in this order. */
export const CHANNELS = ['edge', 'candidate', 'stable'] as const;
export type Channel = (typeof CHANNELS)[number];
export type ReportEvent = 'applied' | 'undone' | 'refused' | 'failed' | 'busy';

export interface Whoami {
	role: Role;
	roles: Role[];
	name: string;
	/** The password came from an admin: nothing else is possible before it is changed. */
	must_change_password?: boolean;
}

export interface TargetStatus {
	target: string;
	job: string;
	status: JobStatus;
}

export interface UpdateSummary {
	id: string;
	name: string;
	cves: string[];
	created_at: string;
	uploaded_by: string;
	released: boolean;
	targets: TargetStatus[];
}

export interface Updates {
	updates: UpdateSummary[];
	next: string | null;
}

export interface Step {
	name: string;
	started_at: string;
	millis: number;
	exit_code: number | null;
}

export interface PackageInfo {
	sha256: string;
	bytes: number;
	kernel_id: string;
	signer: string;
}

export interface Job {
	id: string;
	update_id: string;
	target: string;
	status: JobStatus;
	attempt: number;
	worker: string | null;
	created_at: string;
	started_at: string | null;
	finished_at: string | null;
	exit_code: number | null;
	reason: string | null;
	report: unknown;
	steps: Step[];
	package: PackageInfo | null;
	log_bytes: number;
}

export interface HostReport {
	id: string;
	host_id: string;
	host_name: string;
	update_id: string;
	event: ReportEvent;
	detail: string;
	pause_ns: number | null;
	timeline: Step[];
	received_at: string;
}

export interface Release {
	by: string;
	at: string;
	comment: string;
}

export interface Promotion {
	channel: Channel;
	by: string;
	at: string;
	comment: string;
}

export interface Update {
	id: string;
	name: string;
	cves: string[];
	notes: string;
	patch_sha256: string;
	patch_bytes: number;
	files: string[];
	has_check: boolean;
	uploaded_by: string;
	created_at: string;
	released: Release | null;
	/** The channel that it has got to; none before its release. */
	channel: Channel | null;
	/** How it got there, oldest first; the first one is its release. */
	promotions: Promotion[];
	/** Updates whose place this one takes. */
	supersedes: string[];
	/** Updates that take this one's place, released or not. */
	superseded_by: string[];
	jobs: Job[];
	reports: HostReport[];
}

export interface CheckFile {
	name: string;
	/** Unix permission bits. */
	mode: number;
	base64: string;
}

/** Runs in a guest: exit code 0 means fixed, 1 vulnerable. Without a script the file `check` runs. */
export interface Check {
	script?: string;
	files: CheckFile[];
}

export interface NewUpdate {
	name: string;
	patch: string;
	targets: string[];
	cves: string[];
	notes: string;
	/** Updates whose place it takes. */
	supersedes?: string[];
	check?: Check;
}

export interface Target {
	id: string;
	release: string;
	package_version: string;
	flavour: string;
	arch: string;
	digest: string;
}

export interface Host {
	id: string;
	name: string;
	target: string;
	release: string;
	public_key: string;
	enrolled_at: string;
	last_seen_at: string;
	applied: string[];
}

/** A piece of a log: bytes from the offset asked for. */
export interface LogPiece {
	bytes: Uint8Array;
	/** Nothing will follow. */
	complete: boolean;
}

/** An answer that is not a success, in words for people. */
export class ApiError extends Error {
	constructor(
		readonly status: number,
		readonly title: string,
		readonly detail: string
	) {
		super(detail || title);
	}
}

const BASE = '/api/v1';

async function toError(response: Response): Promise<ApiError> {
	const text = await response.text();
	try {
		const problem = JSON.parse(text) as { title?: string; detail?: string };
		return new ApiError(response.status, problem.title ?? response.statusText, problem.detail ?? '');
	} catch {
		return new ApiError(response.status, response.statusText, text.slice(0, 500));
	}
}

/** Calls made with a token, or without one with the session of the browser's cookie. */
export class Api {
	constructor(
		private readonly token?: string,
		/** Called when the server does not know the token (any more). */
		private readonly onUnauthorised: () => void = () => {}
	) {}

	private async send(path: string, init: RequestInit = {}): Promise<Response> {
		const headers = new Headers(init.headers);
		if (this.token) headers.set('authorization', `Bearer ${this.token}`);
		// No form of another site can set a header, so none can make a change.
		else headers.set('x-resplice-session', '1');
		let response: Response;
		try {
			response = await fetch(BASE + path, { ...init, headers, cache: 'no-store' });
		} catch (cause) {
			if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
			throw new ApiError(0, 'No answer', 'The server can’t be reached. Is it running?');
		}
		if (response.ok) return response;
		if (response.status === 401) this.onUnauthorised();
		throw await toError(response);
	}

	private async json<T>(path: string, init?: RequestInit): Promise<T> {
		return (await (await this.send(path, init)).json()) as T;
	}

	private async remove(path: string): Promise<void> {
		await this.send(path, { method: 'DELETE' });
	}

	private post<T>(path: string, body: unknown): Promise<T> {
		return this.json<T>(path, {
			method: 'POST',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify(body)
		});
	}

	/** Begins a session: the browser keeps its cookie, which no script can read. */
	signIn = (name: string, password: string) => this.post<Whoami>('/sessions', { name, password });
	signOut = () => this.remove('/sessions/current');
	async changePassword(old: string, password: string): Promise<void> {
		await this.send('/account/password', {
			method: 'PUT',
			headers: { 'content-type': 'application/json' },
			body: JSON.stringify({ old, new: password })
		});
	}
	whoami = () => this.json<Whoami>('/whoami');
	targets = async () => (await this.json<{ targets: Target[] }>('/targets')).targets;
	hosts = async () => (await this.json<{ hosts: Host[] }>('/hosts')).hosts;
	update = (id: string) => this.json<Update>(`/updates/${encodeURIComponent(id)}`);
	upload = (update: NewUpdate) => this.post<Update>('/updates', update);
	release = (id: string, channel: Channel, comment: string) =>
		this.post<Update>(`/updates/${encodeURIComponent(id)}/release`, { channel, comment });
	promote = (id: string, channel: Channel, comment: string) =>
		this.post<Update>(`/updates/${encodeURIComponent(id)}/promote`, { channel, comment });

	/** One page of updates, newest first, older than `before`. */
	updates(before?: string): Promise<Updates> {
		const query = before ? `?limit=50&before=${encodeURIComponent(before)}` : '?limit=50';
		return this.json<Updates>('/updates' + query);
	}

	/** The patch as it was uploaded. */
	async patch(id: string): Promise<string> {
		return (await this.send(`/updates/${encodeURIComponent(id)}/patch`)).text();
	}

	/** Bytes of the log of a job's attempt from `offset`; waits some seconds for new ones. */
	async log(job: string, attempt: number, offset: number, signal: AbortSignal): Promise<LogPiece> {
		const response = await this.send(
			`/jobs/${encodeURIComponent(job)}/log?attempt=${attempt}&offset=${offset}&follow=1`,
			{ signal }
		);
		return {
			bytes: new Uint8Array(await response.arrayBuffer()),
			complete: response.headers.get('x-log-complete') === 'true'
		};
	}
}
