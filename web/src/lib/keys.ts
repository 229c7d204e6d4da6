/** How urgent the expiry of a key's file is. */
import type { Keys } from './api';

export type RoleKeys = Keys['roles'][number];

const DAY_MS = 86_400_000;
/** What people have to renew is warned of this long before; what the server renews itself, when it is late with it. */
const WARN_MS: Record<string, number> = { root: 30 * DAY_MS, targets: 21 * DAY_MS, snapshot: 3 * DAY_MS, timestamp: DAY_MS / 4 };

export interface Standing {
	tone: 'ok' | 'warn' | 'bad';
	words: string;
	/** What to do about it. */
	remedy?: string;
}

export function standingOf(role: RoleKeys, now: number): Standing {
	if (!role.expires) return { tone: 'warn', words: 'nothing signed yet', remedy: remedyFor(role) };
	const left = Date.parse(role.expires) - now;
	if (left <= 0) return { tone: 'bad', words: 'expired: hosts take nothing new', remedy: remedyFor(role) };
	const words = left < 2 * DAY_MS ? `${Math.floor(left / 3_600_000)} h left` : `${Math.floor(left / DAY_MS)} days left`;
	if (left < (WARN_MS[role.role] ?? 0)) return { tone: 'warn', words, remedy: remedyFor(role) };
	return { tone: 'ok', words };
}

function remedyFor({ role, here, threshold }: RoleKeys): string {
	if (role === 'root') return 'resplice-server keys sign --root --keys DIR';
	if (here < threshold) return 'resplice-server keys sign --keys DIR';
	return 'The server renews it by itself: look into its log.';
}
