import adapter from '@sveltejs/adapter-static';

/** @type {import('@sveltejs/kit').Config} */
export default {
	kit: {
		// One page for every address: the server answers what it does not know
		// with index.html, and the router in the browser does the rest.
		adapter: adapter({ fallback: 'index.html' }),
		// The server sends such a policy as a header, too; in the page it holds
		// wherever the page comes from, `npm run preview` included.
		csp: {
			mode: 'hash',
			directives: {
				'default-src': ['none'],
				'script-src': ['self'],
				'style-src': ['self'],
				// SvelteKit hides its announcer for screen readers by this one style attribute.
				'style-src-attr': ['unsafe-hashes', 'sha256-S8qMpvofolR8Mpjy4kQvEm7m1q8clzU4dfDH0AmvZjo='],
				'img-src': ['self'],
				'connect-src': ['self'],
				'base-uri': ['none'],
				'form-action': ['none']
			}
		}
	}
};
