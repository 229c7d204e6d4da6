/** An identity provider (OpenID Connect) on another site than the server: it is called `localhost`, not 127.0.0.1. */
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class Provider {
	private readonly key = generateKeyPairSync('ed25519');
	/** Challenge and nonce of each code that was not used yet. */
	private readonly codes = new Map<string, { challenge: string; nonce: string }>();
	url = '';

	/** It says that everybody is this person. */
	private constructor(
		private readonly person: string,
		private readonly http: Server
	) {}

	static async start(person: string): Promise<Provider> {
		const http = createServer((request, response) => {
			provider.answer(request, response).catch((cause: unknown) => response.writeHead(500).end(String(cause)));
		});
		const provider = new Provider(person, http);
		await new Promise<void>((done) => http.listen(0, '127.0.0.1', done));
		provider.url = `http://localhost:${(http.address() as AddressInfo).port}`;
		return provider;
	}

	/** What a server on a port is told of it. */
	flags(port: number): string[] {
		const own = ['--listen', `127.0.0.1:${port}`, '--public-url', `http://127.0.0.1:${port}`];
		return [...own, '--oidc-issuer', this.url, '--oidc-client-id', 'resplice', '--oidc-name', 'Test ID'];
	}

	async stop(): Promise<void> {
		this.http.closeAllConnections();
		await new Promise((done) => this.http.close(done));
	}

	private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
		const { pathname, searchParams } = new URL(request.url ?? '/', this.url);
		const json = (value: unknown) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value));
		if (pathname === '/.well-known/openid-configuration') json(this.metadata());
		else if (pathname === '/keys') json({ keys: [{ ...this.key.publicKey.export({ format: 'jwk' }), kid: 'k', use: 'sig', alg: 'EdDSA' }] });
		else if (pathname === '/authorize') response.setHeader('content-type', 'text/html').end(this.page(searchParams));
		else if (pathname === '/token') {
			const token = this.token(new URLSearchParams(await text(request)));
			if (token) json({ access_token: 'a', token_type: 'Bearer', expires_in: 60, id_token: token });
			else response.writeHead(400).end();
		} else response.writeHead(404).end();
	}

	private metadata() {
		return {
			issuer: this.url,
			authorization_endpoint: `${this.url}/authorize`,
			token_endpoint: `${this.url}/token`,
			jwks_uri: `${this.url}/keys`,
			response_types_supported: ['code'],
			subject_types_supported: ['public'],
			id_token_signing_alg_values_supported: ['EdDSA']
		};
	}

	/** The person has to do something: browsers treat that otherwise than being sent on at once. */
	private page(asked: URLSearchParams): string {
		const code = randomUUID();
		this.codes.set(code, { challenge: asked.get('code_challenge') ?? '', nonce: asked.get('nonce') ?? '' });
		const back = new URL(asked.get('redirect_uri') ?? '');
		back.search = new URLSearchParams({ code, state: asked.get('state') ?? '' }).toString();
		return `<!doctype html><link rel="icon" href="data:,"><a href="${back.href.replaceAll('&', '&amp;')}">Go on as ${this.person}</a>`;
	}

	private token(asked: URLSearchParams): string | undefined {
		const code = asked.get('code') ?? '';
		const known = this.codes.get(code);
		this.codes.delete(code);
		const challenge = createHash('sha256').update(asked.get('code_verifier') ?? '').digest('base64url');
		if (known?.challenge !== challenge) return undefined;
		const now = Math.floor(Date.now() / 1000);
		const claims = { iss: this.url, sub: 'number 7', aud: 'resplice', iat: now, exp: now + 60, nonce: known.nonce, preferred_username: this.person };
		const signed = `${encoded({ alg: 'EdDSA', kid: 'k' })}.${encoded(claims)}`;
		return `${signed}.${sign(null, Buffer.from(signed), this.key.privateKey).toString('base64url')}`;
	}
}
