import { svelte, vitePreprocess } from '@sveltejs/vite-plugin-svelte'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Where `npm run dev` finds a service; the built console is served by the service itself.
const service = process.env['KINEMA_URL'] ?? 'http://127.0.0.1:8000'

export default defineConfig({
  plugins: [
    svelte({
      preprocess: vitePreprocess(),
      compilerOptions: {
        // Of the style, not of the file's place: the same build on every machine.
        cssHash: ({ hash, css }) => `k${hash(css)}`,
      },
    }),
  ],
  resolve: {
    alias: { $lib: fileURLToPath(new URL('./src/lib', import.meta.url)) },
    ...(process.env['VITEST'] ? { conditions: ['browser'] } : {}),
  },
  build: {
    outDir: '../src/kinema/serving/console',
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    reportCompressedSize: true,
  },
  server: {
    proxy: Object.fromEntries(
      ['/v1', '/health/live', '/health/ready', '/openapi.json', '/docs'].map((path) => [path, service]),
    ),
  },
  // Few workers: on a busy machine many of them start too slowly and are given up.
  test: { environment: 'happy-dom', include: ['src/**/*.test.ts'], pool: 'threads', maxWorkers: 2 },
})
