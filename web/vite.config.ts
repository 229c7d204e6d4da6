import { sveltekit } from '@sveltejs/kit/vite';
import { defineConfig } from 'vite';

export default defineConfig({
	plugins: [sveltekit()],
	// `npm run dev` talks to a server that runs beside it.
	server: { proxy: { '/api': process.env.RESPLICE_SERVER ?? 'http://127.0.0.1:8440' } }
});
