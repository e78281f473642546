/** Bundles every program of the workspace into dist/: our own source in, third-party packages left in node_modules. */
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const programs = readdirSync(join(root, 'services'))
  .map((name) => [name, join(root, 'services', name, 'src/main.ts')])
  .filter(([, file]) => existsSync(file));
const edge = join(root, 'services/gigvault/src/edge/main.ts');
if (existsSync(edge)) programs.push(['edge', edge]);
const bench = join(root, 'services/gigvault/bench/main.ts');
if (existsSync(bench)) programs.push(['bench', bench]);

/** Bare imports of anything but our own packages stay imports. */
const thirdParty = {
  name: 'third-party',
  setup(builder) {
    builder.onResolve({ filter: /^[^./]/ }, ({ path, kind }) =>
      kind === 'entry-point' || path.startsWith('@gigvault/')
        ? undefined
        : { path, external: true },
    );
  },
};

await build({
  entryPoints: Object.fromEntries(programs),
  outdir: join(root, 'dist'),
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node26',
  sourcemap: true,
  chunkNames: 'chunks/[name]-[hash]',
  loader: { '.yaml': 'text', '.proto': 'text' },
  plugins: [thirdParty],
  tsconfigRaw: {
    compilerOptions: {
      experimentalDecorators: true,
      useDefineForClassFields: false,
      target: 'es2024',
    },
  },
  logLevel: 'warning',
});
