/**
 * Who is signed in: a person with a session, whose cookie is the browser's
 * affair, or a token, which lives as long as the tab.
 */
import { Api, type Role, type Whoami } from './api';

const TOKEN = 'resplice.token';
/** What the identity provider's way back says, for people. */
const REFUSED: Record<string, string> = {
	state: 'That sign-in was begun elsewhere, too long ago, or has ended. Try again.',
	provider: 'The identity provider does not answer as it should. Try again later.',
	token: 'What the identity provider says of you can’t be trusted. Tell an admin.',
	refused: 'The identity provider did not let you in.',
	'no-role': 'You have an account now, and no role yet. Ask an admin for one, then sign in again.',
	closed: 'Your account is closed. An admin can open it.',
	name: 'The identity provider gives you no name that an account can have. Ask an admin.',
	taken: 'There is an account of that name. If it is yours, sign in with its password and come back.'
};
/** That a session was begun in this browser: no more than a hint to look for it. */
const BEGUN = 'resplice.session';

class Session {
	#api = $state<Api>();
	#who = $state<Whoami>();
	#isPerson = false;
	/** False until it is known whether somebody is signed in from before. */
	ready = $state(false);
	/** Why the identity provider's way led nowhere. */
	refused = $state<string>();

	get who(): Whoami | undefined {
		return this.#who;
	}

	/** The calls; pages are only shown to who is signed in. */
	get api(): Api {
		if (!this.#api) throw new Error('not signed in');
		return this.#api;
	}

	may(role: Role): boolean {
		return this.#who?.roles.includes(role) ?? false;
	}

	async signIn(name: string, password: string): Promise<void> {
		const who = await new Api().signIn(name, password);
		localStorage.setItem(BEGUN, '1');
		this.#enter(new Api(undefined, () => this.#leave()), who, true);
	}

	async signInWithToken(token: string): Promise<void> {
		const api = new Api(token, () => this.#leave());
		const who = await api.whoami();
		sessionStorage.setItem(TOKEN, token);
		this.#enter(api, who, false);
	}

	/** Ends the session at the server too; a token stays what it is. */
	async signOut(): Promise<void> {
		const ending = this.#isPerson ? this.#api?.signOut() : undefined;
		try {
			await ending;
		} finally {
			this.#leave();
		}
	}

	async changePassword(old: string, password: string): Promise<void> {
		await this.api.changePassword(old, password);
		this.#who = await this.api.whoami();
	}

	/** How a sign-in by way of the identity provider ended that led here: why not, if so. */
	#returned(): string | undefined {
		const word = new URL(location.href).searchParams.get('sign-in');
		if (word === null) return undefined;
		if (word !== 'done') return REFUSED[word] ?? REFUSED.provider;
		localStorage.setItem(BEGUN, '1');
		return undefined;
	}

	/** Goes on with what this browser was signed in with, if it still holds. */
	async resume(): Promise<void> {
		this.refused = this.#returned();
		const token = sessionStorage.getItem(TOKEN);
		try {
			if (token) await this.signInWithToken(token);
			else if (localStorage.getItem(BEGUN)) {
				const api = new Api(undefined, () => this.#leave());
				this.#enter(api, await api.whoami(), true);
			}
		} catch {
			// The sign-in page says what is wrong when it is tried again.
		} finally {
			this.ready = true;
		}
	}

	#enter(api: Api, who: Whoami, isPerson: boolean): void {
		this.#api = api;
		this.#who = who;
		this.#isPerson = isPerson;
	}

	#leave(): void {
		sessionStorage.removeItem(TOKEN);
		localStorage.removeItem(BEGUN);
		this.#who = undefined;
		this.#api = undefined;
	}
}

export const session = new Session();
