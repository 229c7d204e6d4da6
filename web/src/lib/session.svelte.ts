/**
 * Who is signed in: a person with a session, whose cookie is the browser's
 * affair, or a token, which lives as long as the tab.
 */
import { Api, type Role, type Whoami } from './api';

const TOKEN = 'resplice.token';
/** That a session was begun in this browser: no more than a hint to look for it. */
const BEGUN = 'resplice.session';

class Session {
	#api = $state<Api>();
	#who = $state<Whoami>();
	#isPerson = false;
	/** False until it is known whether somebody is signed in from before. */
	ready = $state(false);

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

	/** Goes on with what this browser was signed in with, if it still holds. */
	async resume(): Promise<void> {
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
