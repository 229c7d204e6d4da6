/** What happened to an update, in the order in which it did. */
import type { HostDetail, HostReport, Job, Step, Update } from './api';
import { duration, pause } from './format';

export type Tone = 'ok' | 'bad' | 'warn' | 'info' | 'quiet';

export interface Happening {
	key: string;
	at: string;
	tone: Tone;
	title: string;
	/** Short facts beside the title. */
	facts: string[];
	/** Longer text below. */
	detail?: string;
	/** Where there is more. */
	href?: string;
}

const ENDS: Record<Job['status'], [Tone, string]> = {
	queued: ['quiet', 'Queued'],
	running: ['info', 'Running'],
	built: ['ok', 'Built and signed'],
	failed: ['bad', 'Build failed'],
	refused: ['bad', 'Refused'],
	nothing: ['quiet', 'Nothing to do'],
	needs_code: ['warn', 'Needs code'],
	cancelled: ['quiet', 'Cancelled']
};

const EVENTS: Record<HostReport['event'], [Tone, string]> = {
	applied: ['ok', 'applied it'],
	undone: ['quiet', 'undid it'],
	refused: ['bad', 'refused it'],
	failed: ['bad', 'failed to apply it'],
	busy: ['warn', 'was busy and will try again']
};

function stepFact(step: Step): string {
	const outcome = step.exit_code ? ` (exit code ${step.exit_code})` : '';
	return `${step.name} ${duration(step.millis)}${outcome}`;
}

function ofJob(job: Job): Happening[] {
	const list: Happening[] = [];
	if (job.started_at) {
		list.push({
			key: `${job.id}-start`,
			at: job.started_at,
			tone: 'info',
			title: `${job.worker ?? 'A worker'} began to build`,
			facts: job.attempt > 1 ? [`attempt ${job.attempt}`] : []
		});
	}
	if (job.finished_at) {
		const [tone, title] = ENDS[job.status];
		list.push({
			key: `${job.id}-end`,
			at: job.finished_at,
			tone,
			title,
			facts: [
				...job.steps.map(stepFact),
				...(job.exit_code ? [`exit code ${job.exit_code}`] : [])
			],
			detail: job.reason ?? undefined
		});
	}
	return list;
}

function ofReport(report: HostReport, title: (what: string) => string): Happening {
	const [tone, what] = EVENTS[report.event];
	return {
		key: report.id,
		at: report.received_at,
		tone,
		title: title(what),
		facts: [
			...report.timeline.map(stepFact),
			...(typeof report.pause_ns === 'number' ? [`pause ${pause(report.pause_ns)}`] : [])
		],
		detail: report.detail || undefined
	};
}

/** Upload, the given job's build, release, and what every host said. */
export function timelineOf(update: Update, job: Job | undefined): Happening[] {
	const list: Happening[] = [
		{
			key: 'upload',
			at: update.created_at,
			tone: 'info',
			title: `Uploaded by ${update.uploaded_by}`,
			facts: []
		},
		...(job ? ofJob(job) : []),
		...update.reports.map((report) => ofReport(report, (what) => `${report.host_name} ${what}`))
	];
	update.promotions.forEach(({ channel, by, at, comment }, index) => {
		list.push({
			key: `promotion-${channel}`,
			at,
			tone: 'ok',
			title: `${index === 0 ? 'Released' : 'Promoted'} to ${channel} by ${by}`,
			facts: [],
			detail: comment || undefined
		});
	});
	if (update.rejected) {
		const { by, at, reason } = update.rejected;
		list.push({ key: 'rejection', at, tone: 'bad', title: `Rejected by ${by}`, facts: [], detail: reason });
	}
	if (update.revoked) {
		const { by, at, reason, undo } = update.revoked;
		const facts = undo ? ['hosts undo it'] : [];
		list.push({ key: 'revocation', at, tone: 'bad', title: `Revoked by ${by}`, facts, detail: reason });
	}
	return list.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

const OWN: Record<HostReport['event'], string> = {
	applied: 'Applied',
	undone: 'Undid',
	refused: 'Refused',
	failed: 'Failed to apply',
	busy: 'Was busy, and will try again:'
};

/** What a host did, the latest first. */
export function historyOf({ host, updates, reports }: HostDetail): Happening[] {
	const names = new Map(updates.map(({ update_id, name }) => [update_id, name]));
	const list = reports.map((report) => ({
		...ofReport(report, () => `${OWN[report.event]} ${names.get(report.update_id) ?? report.update_id}`),
		href: `/updates/${report.update_id}`
	}));
	const enrolled: Happening = { key: 'enrolled', at: host.enrolled_at, tone: 'info', title: 'Enrolled', facts: [] };
	return [...list, enrolled].sort((a, b) => Date.parse(b.at) - Date.parse(a.at));
}
