/** What a page costs a browser that has never been here, as JSON in the file RESPLICE_FIGURES. */
import { writeFile } from 'node:fs/promises';
import type { Browser, CDPSession, Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { openBrowser } from '../stage/browser';
import { setScene } from '../stage/scene';
import { Server } from '../stage/server';

const RUNS = 7;
const SLOW_DOWN = 4;
/** A page at which nothing has been long at work for so many milliseconds will answer. */
const QUIET_MS = 1500;

interface Marks {
	/** When what the page is about was first drawn, ms since navigation. */
	shown: number;
	/** When the last task of over 50 ms ended. */
	busy: number;
}

interface Figures {
	/** Script and style as they travel, with the headers of their answers. */
	bytes: number;
	/** What the page is about is there, and the page answers. */
	interactive_ms: number;
}

/** Runs in the page before its own scripts; whoever looks is signed in. */
function watch([text, token]: [string, string]): void {
	sessionStorage.setItem('resplice.token', token);
	const marks: Marks = { shown: 0, busy: 0 };
	Object.assign(window, { marks });
	new PerformanceObserver((list) => {
		for (const { startTime, duration } of list.getEntries()) marks.busy = startTime + duration;
	}).observe({ type: 'longtask', buffered: true });
	const look = new MutationObserver(() => {
		if (!document.body?.textContent.includes(text)) return;
		look.disconnect();
		requestAnimationFrame(() => setTimeout(() => (marks.shown = performance.now())));
	});
	look.observe(document, { childList: true, subtree: true, characterData: true });
}

/** Sums what scripts and styles took on the wire. */
async function count(session: CDPSession): Promise<() => number> {
	const wanted = new Set<string>();
	let bytes = 0;
	session.on('Network.responseReceived', ({ requestId, response }) => {
		if (/javascript|css/.test(response.mimeType)) wanted.add(requestId);
	});
	session.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
		if (wanted.has(requestId)) bytes += encodedDataLength;
	});
	await session.send('Network.enable');
	return () => bytes;
}

async function load(page: Page, path: string, text: string, token: string): Promise<Figures> {
	const session = await page.context().newCDPSession(page);
	const bytes = await count(session);
	await session.send('Emulation.setCPUThrottlingRate', { rate: SLOW_DOWN });
	await page.addInitScript(watch, [text, token] as [string, string]);
	await page.goto(path);
	const handle = await page.waitForFunction(
		(quiet) => {
			const { marks } = window as unknown as { marks: Marks };
			const end = Math.max(marks.shown, marks.busy);
			return marks.shown > 0 && performance.now() > end + quiet && end;
		},
		QUIET_MS,
		{ timeout: 60_000, polling: 100 }
	);
	return { bytes: bytes(), interactive_ms: (await handle.jsonValue()) as number };
}

function median(values: number[]): number {
	return values.sort((a, b) => a - b)[values.length >> 1]!;
}

async function measure(browser: Browser, server: Server, pages: [name: string, path: string, text: string][]) {
	const token = await server.token('team');
	const figures: Record<string, Figures> = {};
	for (const [name, path, text] of pages) {
		const runs: Figures[] = [];
		for (let run = 0; run < RUNS; run++) {
			const context = await browser.newContext({ baseURL: server.url });
			runs.push(await load(await context.newPage(), path, text, token));
			await context.close();
		}
		figures[name] = {
			bytes: median(runs.map(({ bytes }) => bytes)),
			interactive_ms: median(runs.map(({ interactive_ms }) => interactive_ms))
		};
	}
	return figures;
}

it('loads pages that the browser has never seen', async () => {
	const [server, browser] = await Promise.all([Server.start(), openBrowser()]);
	try {
		const scene = await setScene(server);
		const figures = await measure(browser, server, [
			['updates', '/', 'proc, binfmt_misc: mark'],
			['update', `/updates/${scene.built}`, 'bm_status_read'],
			['fleet', '/fleet', 'What is in the way']
		]);
		console.log(figures);
		expect(Object.values(figures).every(({ bytes }) => bytes > 10_000)).toBe(true);
		if (process.env.RESPLICE_FIGURES) await writeFile(process.env.RESPLICE_FIGURES, JSON.stringify(figures));
	} finally {
		await browser.close();
		await server.stop();
	}
});
