import js from '@eslint/js';
import svelte from 'eslint-plugin-svelte';
import globals from 'globals';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

export default ts.config(
	{ ignores: ['.svelte-kit/', 'build/', 'src/lib/api/schema.d.ts'] },
	js.configs.recommended,
	ts.configs.recommended,
	svelte.configs.recommended,
	{ languageOptions: { globals: { ...globals.browser, ...globals.node } } },
	{
		files: ['**/*.svelte', '**/*.svelte.ts'],
		languageOptions: { parserOptions: { extraFileExtensions: ['.svelte'], parser: ts.parser, svelteConfig } }
	},
	{
		rules: {
			// TypeScript knows better what is defined.
			'no-undef': 'off',
			// There is one base path: none.
			'svelte/no-navigation-without-resolve': 'off',
			eqeqeq: 'error',
			// Terminals are told by control characters.
			'no-control-regex': 'off',
			// A space at the end of a line needs them.
			'svelte/no-useless-mustaches': 'off'
		}
	}
);
