import { expect, it } from 'vitest';
import type { Delivery } from './api';
import { standing } from './feeds';

const delivery = (rest: Partial<Delivery>) =>
	({ id: 'msg_1', event: 'update.released', update_id: 'u', created_at: '', state: 'waiting', attempts: 0, ...rest }) as Delivery;

it('says how a delivery stands', () => {
	expect(standing(delivery({}))).toBe('is about to be sent');
	expect(standing(delivery({ state: 'delivered', attempts: 1, last_status: 204 }))).toBe('delivered');
	expect(standing(delivery({ attempts: 2, last_status: 500 }))).toBe('tried 2 times: answered 500');
	expect(standing(delivery({ state: 'failed', attempts: 8, last_error: 'refused' }))).toBe('given up, tried 8 times: refused');
});
