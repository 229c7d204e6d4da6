/** The calls of the API that the pages make. */
import type { HostFilter } from '../hosts';
import { address, type Answer, type Method, type Options, type PathOf, type Query } from './call';
import { ApiError, toError } from './error';
import type { ChangeUser, Channel, JobStatus, NewToken, NewUpdate, NewWebhook, Role, WavePlan } from './types';

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
	/** How one can sign in beside name and password. */
	waysIn = () => this.call('get', '/sign-in', {});
	whoami = () => this.call('get', '/whoami', {});

	targets = async () => (await this.call('get', '/targets', {})).targets;
	retireTarget = (id: string, reason: string) =>
		this.call('post', '/targets/{target}/retire', { path: { target: id }, body: { reason } });
	restoreTarget = (id: string) => this.call('post', '/targets/{target}/restore', { path: { target: id } });
	importTarget = (target: string) => this.call('post', '/imports', { body: { target } });
	imports = async () => (await this.call('get', '/imports', {})).imports;
	archive = () => this.call('get', '/archive', {});
	lookAtArchive = () => this.call('post', '/archive/look', {});

	fleet = () => this.call('get', '/fleet', {});

	/** A page of hosts that are as the filter says. */
	hosts = (filter: HostFilter & { after?: string } = {}) =>
		this.call('get', '/hosts', { query: { limit: 100, ...filter } as Query<'get', '/hosts'> });
	host = (id: string) => this.call('get', '/hosts/{id}', { path: { id } });
	setChannel = (id: string, channel: Channel) =>
		this.call('post', '/hosts/{id}/channel', { path: { id }, body: { channel } });
	setGroups = (id: string, groups: string[]) =>
		this.call('post', '/hosts/{id}/groups', { path: { id }, body: { groups } });
	groups = async () => (await this.call('get', '/groups', {})).groups;
	freeze = (name: string, reason: string) =>
		this.call('post', '/groups/{name}/freeze', { path: { name }, body: { reason } });
	thaw = (name: string) => this.call('post', '/groups/{name}/thaw', { path: { name }, body: {} });

	/** One page of updates, newest first, older than `before`. */
	updates = (before?: string) => this.call('get', '/updates', { query: { limit: 50, before } });
	update = (id: string) => this.call('get', '/updates/{id}', { path: { id } });
	/** What a patch would reach; nothing is stored. */
	reach = (patch: string) => this.call('post', '/patches/reach', { body: { patch } });
	upload = (update: NewUpdate) => this.call('post', '/updates', { body: update });
	/** With a plan in waves, and without one at once. */
	release = (id: string, channel: Channel, comment: string, plan?: string) =>
		this.call('post', '/updates/{id}/release', { path: { id }, body: { channel, comment, plan } });
	promote = (id: string, channel: Channel, comment: string, plan?: string) =>
		this.call('post', '/updates/{id}/promote', { path: { id }, body: { channel, comment, plan } });
	progress = (id: string) => this.call('get', '/updates/{id}/progress', { path: { id } });
	halt = (id: string, reason: string) => this.call('post', '/updates/{id}/halt', { path: { id }, body: { reason } });
	resume = (id: string, reason: string) => this.call('post', '/updates/{id}/resume', { path: { id }, body: { reason } });
	wavePlans = async () => (await this.call('get', '/wave-plans', {})).plans;
	reject = (id: string, reason: string) =>
		this.call('post', '/updates/{id}/reject', { path: { id }, body: { reason } });
	revoke = (id: string, reason: string, undo: boolean) =>
		this.call('post', '/updates/{id}/revoke', { path: { id }, body: { reason, undo } });
	putWavePlan = (plan: WavePlan) => this.call('post', '/wave-plans', { body: plan });

	workers = async () => (await this.call('get', '/workers', {})).workers;
	jobs = async (status: JobStatus) => (await this.call('get', '/jobs', { query: { status, limit: 100 } })).jobs;
	cancelJob = (id: string, reason: string) => this.call('post', '/jobs/{id}/cancel', { path: { id }, body: { reason } });
	prioritise = (id: string, priority: number) =>
		this.call('post', '/jobs/{id}/priority', { path: { id }, body: { priority } });
	/** The replaced functions’ instructions. */
	listing = (id: string) => this.call('get', '/jobs/{id}/listing', { path: { id } });
	keys = () => this.call('get', '/keys', {});

	users = async () => (await this.call('get', '/users', { query: { limit: 500 } })).users;
	createUser = (name: string, roles: Role[]) => this.call('post', '/users', { body: { name, roles } });
	changeUser = (name: string, change: ChangeUser) => this.call('patch', '/users/{name}', { path: { name }, body: change });
	resetPassword = (name: string) => this.call('post', '/users/{name}/password', { path: { name } });
	unlinkIdentities = (name: string) => this.call('delete', '/users/{name}/identities', { path: { name } });
	tokens = async () => (await this.call('get', '/tokens', { query: { limit: 500 } })).tokens;
	createToken = (token: NewToken) => this.call('post', '/tokens', { body: token });
	async revokeToken(token: string): Promise<void> {
		await this.send('delete', '/tokens/{token}', { path: { token } });
	}

	webhooks = async () => (await this.call('get', '/webhooks', {})).webhooks;
	createWebhook = (webhook: NewWebhook) => this.call('post', '/webhooks', { body: webhook });
	async removeWebhook(id: string): Promise<void> {
		await this.send('delete', '/webhooks/{id}', { path: { id } });
	}
	rotateWebhook = (id: string) => this.call('post', '/webhooks/{id}/rotate', { path: { id } });
	enableWebhook = (id: string) => this.call('post', '/webhooks/{id}/enable', { path: { id } });
	deliveries = async (id: string) => (await this.call('get', '/webhooks/{id}/deliveries', { path: { id } })).deliveries;
	redeliver = (id: string, delivery: string) =>
		this.call('post', '/webhooks/{id}/deliveries/{delivery}/redeliver', { path: { id, delivery } });

	audit = (query: NonNullable<Query<'get', '/audit'>>) => this.call('get', '/audit', { query: { limit: 50, ...query } });
	logKey = () => this.text('/log/key');
	logCheckpoint = () => this.text('/log/checkpoint');
	logTile = (level: number, index: string) => this.bytes('/log/tile/{level}/{index}', { path: { level, index } });
	logEntries = (index: string) => this.bytes('/log/tile/entries/{index}', { path: { index } });

	/** Where a package comes from: a signed envelope. */
	async provenance(sha256: string): Promise<string> {
		return (await this.send('get', '/packages/{sha256}/provenance', { path: { sha256 } })).text();
	}

	private async text(path: '/log/key' | '/log/checkpoint'): Promise<string> {
		return (await this.send('get', path, {})).text();
	}

	private async bytes<P extends PathOf<'get'>>(path: P, options: Options<'get', P>): Promise<Uint8Array<ArrayBuffer>> {
		return new Uint8Array(await (await this.send('get', path, options)).arrayBuffer());
	}

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
