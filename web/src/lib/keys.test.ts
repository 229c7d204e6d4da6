import { describe, expect, it } from 'vitest';
import { standingOf, type RoleKeys } from './keys';

const NOW = Date.UTC(2026, 10, 26);
const DAY = 86_400_000;
const role = (name: string, days: number | null, here = 1): RoleKeys => ({
	role: name, keys: ['k'], threshold: 1, here, offline: name === 'root' || name === 'targets', version: 1,
	expires: days === null ? null : new Date(NOW + days * DAY).toISOString()
});

describe('standingOf', () => {
	it('warns in time for people to do something', () => {
		expect(standingOf(role('root', 200), NOW)).toEqual({ tone: 'ok', words: '200 days left' });
		expect(standingOf(role('root', 29), NOW)).toMatchObject({ tone: 'warn', words: '29 days left', remedy: expect.stringContaining('--root') });
		expect(standingOf(role('targets', 20, 0), NOW)).toMatchObject({ tone: 'warn', remedy: expect.stringContaining('keys sign') });
	});

	it('does not warn of what the server renews in time', () => {
		expect(standingOf(role('timestamp', 1.2), NOW)).toEqual({ tone: 'ok', words: '28 h left' });
		expect(standingOf(role('timestamp', 0.1), NOW).tone).toBe('warn');
	});

	it('says what an expired or missing file means', () => {
		expect(standingOf(role('snapshot', -1), NOW)).toMatchObject({ tone: 'bad', words: 'expired: hosts take nothing new' });
		expect(standingOf(role('targets', null), NOW).tone).toBe('warn');
	});
});
