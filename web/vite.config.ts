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
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.ts'],
    // One worker for all files: on a busy machine each further one may start too slowly and be given up. Tests leave nothing behind.
    isolate: false,
    fileParallelism: false,
  },
})
