/** The calls of the API that the pages make. */
import { address, type Answer, type Method, type Options, type PathOf } from './call';
import { ApiError, toError } from './error';
import type { Channel, NewUpdate } from './types';

/** A piece of a log: bytes from the offset asked for. */
export interface LogPiece {
	bytes: Uint8Array;
	/** Nothing will follow. */
	complete: boolean;
}

const BASE = '/api/v1';

/** What a call may carry, whatever its path. */
interface Loose {
	path?: Record<string, unknown>;
	query?: Record<string, unknown>;
	body?: unknown;
}

/** Calls made with a token, or without one with the session of the browser's cookie. */
export class Api {
	constructor(
		private readonly token?: string,
		/** Called when the server does not know the token (any more). */
		private readonly onUnauthorised: () => void = () => {}
	) {}

	private async send<M extends Method, P extends PathOf<M>>(
		method: M, path: P, options: Options<M, P>, init: RequestInit = {}
	): Promise<Response> {
		const { path: parameters, query, body } = options as Loose;
		const headers = new Headers();
		if (this.token) headers.set('authorization', `Bearer ${this.token}`);
		// No form of another site can set a header, so none can make a change.
		else headers.set('x-resplice-session', '1');
		if (body !== undefined) {
			headers.set('content-type', 'application/json');
			init = { ...init, body: JSON.stringify(body) };
		}
		let response: Response;
		try {
			response = await fetch(BASE + address(path, parameters, query), {
				...init, method: method.toUpperCase(), headers, cache: 'no-store'
			});
		} catch (cause) {
			if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
			throw new ApiError(0, 'No answer', 'The server can’t be reached. Is it running?');
		}
		if (response.ok) return response;
		if (response.status === 401) this.onUnauthorised();
		throw await toError(response);
	}

	/** A call that answers with JSON. */
	async call<M extends Method, P extends PathOf<M>>(method: M, path: P, options: Options<M, P>): Promise<Answer<M, P>> {
		return (await (await this.send(method, path, options)).json()) as Answer<M, P>;
	}

	/** Begins a session: the browser keeps its cookie, which no script can read. */
	signIn = (name: string, password: string) => this.call('post', '/sessions', { body: { name, password } });
	async signOut(): Promise<void> {
		await this.send('delete', '/sessions/current', {});
	}
	async changePassword(old: string, password: string): Promise<void> {
		await this.send('put', '/account/password', { body: { old, new: password } });
	}
	whoami = () => this.call('get', '/whoami', {});

	targets = async () => (await this.call('get', '/targets', {})).targets;
	hosts = async () => (await this.call('get', '/hosts', {})).hosts;

	/** One page of updates, newest first, older than `before`. */
	updates = (before?: string) => this.call('get', '/updates', { query: { limit: 50, before } });
	update = (id: string) => this.call('get', '/updates/{id}', { path: { id } });
	upload = (update: NewUpdate) => this.call('post', '/updates', { body: update });
	release = (id: string, channel: Channel, comment: string) =>
		this.call('post', '/updates/{id}/release', { path: { id }, body: { channel, comment } });
	promote = (id: string, channel: Channel, comment: string) =>
		this.call('post', '/updates/{id}/promote', { path: { id }, body: { channel, comment } });

	/** The patch as it was uploaded. */
	async patch(id: string): Promise<string> {
		return (await this.send('get', '/updates/{id}/patch', { path: { id } })).text();
	}

	/** Bytes of the log of a job's attempt from `offset`; waits some seconds for new ones. */
	async log(job: string, attempt: number, offset: number, signal: AbortSignal): Promise<LogPiece> {
		const response = await this.send(
			'get', '/jobs/{id}/log', { path: { id: job }, query: { attempt, offset, follow: 1 } }, { signal }
		);
		return {
			bytes: new Uint8Array(await response.arrayBuffer()),
			complete: response.headers.get('x-log-complete') === 'true'
		};
	}
}
