import { defineConfig } from 'vitest/config';

// Figures for `make bench`; nothing here is a test that may fail.
export default defineConfig({ test: { include: ['e2e/figures/*.ts'], exclude: ['**/*.config.ts'], testTimeout: 600_000 } });
