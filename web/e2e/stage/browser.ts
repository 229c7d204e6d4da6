/** Debian's Chromium, and what a person does and sees in it. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { cacheDirectory, type Server, type TokenRole } from './server';

const PROGRAM = '/usr/bin/chromium';
const FLAGS = [
	'--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
	'--disable-background-networking', '--disable-component-update', '--disable-sync'
];

export const SIZES = { phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 800 } };
export type Size = keyof typeof SIZES;
export type Scheme = 'light' | 'dark';

export async function openBrowser(): Promise<Browser> {
	if (!existsSync(PROGRAM)) throw new Error(`${PROGRAM} is not there: run \`deploy/setup --test\``);
	return chromium.launch({ executablePath: PROGRAM, args: FLAGS });
}

/** Somebody at a browser. What the page complains of is collected, and fails the test when they leave. */
export class Person {
	private constructor(
		readonly page: Page,
		private readonly context: BrowserContext,
		private readonly server: Server,
		private readonly complaints: string[]
	) {}

	static async at(browser: Browser, server: Server, size: Size = 'desktop', scheme: Scheme = 'light'): Promise<Person> {
		const context = await browser.newContext({
			baseURL: server.url, viewport: SIZES[size], colorScheme: scheme, reducedMotion: 'reduce', locale: 'en-GB'
		});
		const page = await context.newPage();
		page.setDefaultTimeout(60_000);
		const complaints: string[] = [];
		page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
		page.on('console', (message) => {
			if (message.type() === 'error') complaints.push(`console: ${message.text()}`);
		});
		page.on('dialog', (dialog) => {
			complaints.push(`a script opened a dialogue: ${dialog.message()}`);
			void dialog.dismiss();
		});
		page.on('request', (request) => {
			const url = new URL(request.url());
			if (url.protocol.startsWith('http') && url.origin !== server.url) complaints.push(`asks elsewhere: ${url}`);
		});
		return new Person(page, context, server, complaints);
	}

	/** Signs in with a role's token, or with one of their own. */
	async signIn(role: TokenRole | { token: string }): Promise<void> {
		await this.page.goto('/');
		await this.page.getByRole('button', { name: 'Use a token' }).click();
		await this.page.getByLabel('Token').fill(typeof role === 'string' ? await this.server.token(role) : role.token);
		await this.page.getByRole('button', { name: 'Sign in' }).click();
		await this.page.getByRole('navigation', { name: 'Main' }).waitFor();
	}

	/** Expects that the page has complained of this. */
	expectComplaint(pattern: RegExp): void {
		const others = this.complaints.filter((complaint) => !pattern.test(complaint));
		if (others.length === this.complaints.length) throw new Error(`no complaint like ${pattern}`);
		this.complaints.splice(0, Infinity, ...others);
	}

	async leave(): Promise<void> {
		await this.context.close();
		if (this.complaints.length > 0) throw new Error(this.complaints.join('\n'));
	}
}

/** Where the pictures of the pages are kept. */
export const PICTURES = process.env.RESPLICE_PICTURES ?? join(cacheDirectory(), 'web-pictures');

export async function picture(page: Page, name: string): Promise<void> {
	await mkdir(PICTURES, { recursive: true });
	await page.screenshot({ path: join(PICTURES, `${name}.png`), fullPage: true });
}
