/** Where vendors find what is released, and how deliveries to them stand in words. */
import type { Channel, Delivery, WebhookEvent } from './api';

export const FEEDS = [
	{ path: '/feeds/stable.atom', name: 'Atom, stable', what: 'news readers; what has reached every host’s channel' },
	{ path: '/feeds/candidate.atom', name: 'Atom, candidate', what: 'and what is about to' },
	{ path: '/feeds/edge.atom', name: 'Atom, edge', what: 'all releases, from the first hour on' },
	{ path: '/feeds/osv/modified_id.csv', name: 'OSV', what: 'index of the records for vulnerability scanners' },
	{ path: '/.well-known/csaf/provider-metadata.json', name: 'CSAF', what: 'where an aggregator begins: the key, and the ROLIE feed of all signed advisories' }
] as const;

export const EVENTS: { event: WebhookEvent; what: string }[] = [
	{ event: 'update.released', what: 'an update is released' },
	{ event: 'update.promoted', what: 'it gets to another channel' },
	{ event: 'update.revoked', what: 'it is taken back' }
];

export const SCOPES: Record<Channel, string> = {
	edge: 'all channels', candidate: 'candidate and stable', stable: 'stable alone'
};

/** How a delivery stands: "answered 500 three times, tried again 12:04:10". */
export function standing({ state, attempts, last_status, last_error }: Delivery): string {
	const times = attempts === 1 ? 'once' : `${attempts} times`;
	if (state === 'delivered') return attempts === 1 ? 'delivered' : `delivered, tried ${times}`;
	if (attempts === 0) return 'is about to be sent';
	const why = last_error ?? (last_status ? `answered ${last_status}` : 'no answer');
	return state === 'failed' ? `given up, tried ${times}: ${why}` : `tried ${times}: ${why}`;
}
