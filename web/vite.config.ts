import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig } from 'vitest/config';

export default defineConfig({
	plugins: [sveltekit()],
	// `npm run dev` talks to a server that runs beside it.
	server: { proxy: { '/api': process.env.RESPLICE_SERVER ?? 'http://127.0.0.1:8440' } },
	test: { include: ['src/**/*.test.ts'] }
});
