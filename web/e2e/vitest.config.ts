import { defineConfig } from 'vitest/config';

// Journeys through the real server in a real browser. Each file has a server and
// a browser of its own; two CPUs are few for more than one of them at a time.
export default defineConfig({
	test: {
		include: ['e2e/*.test.ts'],
		fileParallelism: false,
		// Patience on a loaded machine, not a measure of anything.
		testTimeout: 120_000,
		hookTimeout: 120_000
	}
});
