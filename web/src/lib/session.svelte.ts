/** Who is signed in. The token lives as long as the browser tab. */
import { Api, type Whoami } from './api';

const KEY = 'resplice.token';

class Session {
	#api = $state<Api>();
	#who = $state<Whoami>();
	/** False until a token kept from before has been tried. */
	ready = $state(false);

	get who(): Whoami | undefined {
		return this.#who;
	}

	/** The calls; pages are only shown to who is signed in. */
	get api(): Api {
		if (!this.#api) throw new Error('not signed in');
		return this.#api;
	}

	async signIn(token: string): Promise<void> {
		const api = new Api(token, () => this.signOut());
		const who = await api.whoami();
		sessionStorage.setItem(KEY, token);
		this.#api = api;
		this.#who = who;
	}

	signOut(): void {
		sessionStorage.removeItem(KEY);
		this.#who = undefined;
		this.#api = undefined;
	}

	/** Takes up the token of this tab, if it has one that still holds. */
	async resume(): Promise<void> {
		const token = sessionStorage.getItem(KEY);
		try {
			if (token) await this.signIn(token);
		} catch {
			// The sign-in page says what is wrong when the token is tried again.
		} finally {
			this.ready = true;
		}
	}
}

export const session = new Session();
