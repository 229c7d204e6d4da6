import adapter from '@sveltejs/adapter-static';

/** @type {import('@sveltejs/kit').Config} */
export default {
	kit: {
		// One page for every address: the server answers what it does not know
		// with index.html, and the router in the browser does the rest. It sends
		// the .br and .gz beside each file to browsers that take them.
		output: { bundleStrategy: 'single' },
		adapter: adapter({ fallback: 'index.html', precompress: true }),
		// The policy travels in the page, since only the build knows the hash of
		// the script that starts it. The server sends the same as a header.
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
