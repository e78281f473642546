/**
 * `npm run fuzz -- <target> [seconds]`: Jazzer.js on one of the targets in `libs/` and `services/`, from the corpus beside
 * it. What reaches code that nothing in the corpus reached is added to the corpus; an input that breaks the target is kept
 * in .build/fuzz and told. Exit code 77 then.
 */
import { spawn } from 'node:child_process';
import { globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { minimise } from './minimise.mjs';
import { fuzzerSettings } from './older-libc.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
/** Longer inputs find nothing that shorter ones do not. */
const MAX_OCTETS = 4096;

const [name, seconds = '60'] = process.argv.slice(2);
const targets = new Map(
  globSync('{libs,services}/*/fuzz/*.ts', { cwd: root }).map((file) => [
    basename(file, '.ts'),
    file,
  ]),
);
const target = targets.get(name);
if (target === undefined || !/^[1-9]\d*$/.test(seconds)) {
  process.stderr.write(`npm run fuzz -- <${[...targets.keys()].join(' | ')}> [seconds]\n`);
  process.exit(2);
}

const corpusFile = join(root, target.replace(/ts$/, 'corpus'));
const work = join(root, '.build', 'fuzz', name);
const [bundle, seeds, found] = ['target.cjs', 'seeds', 'found'].map((part) => join(work, part));
for (const folder of [seeds, found]) {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
}
await build({
  entryPoints: [join(root, target)],
  outfile: bundle,
  bundle: true,
  format: 'cjs',
  platform: 'node',
  logLevel: 'warning',
});
readFileSync(corpusFile, 'utf8')
  .split('\n')
  .filter((line) => line !== '')
  .forEach((line, index) => {
    writeFileSync(join(seeds, String(index)), Buffer.from(line, 'base64'));
  });

const settings = fuzzerSettings(root, work);
const code = await jazzer([found, seeds], [`-max_total_time=${seconds}`, `-max_len=${MAX_OCTETS}`]);
if (code === 0) {
  const inputs = [seeds, found].flatMap((folder) =>
    readdirSync(folder).map((file) => readFileSync(join(folder, file))),
  );
  const kept = await minimise(bundle, inputs);
  writeFileSync(corpusFile, kept.map((input) => `${input.toString('base64')}\n`).join(''));
  process.stderr.write(`${target}: ${kept.length} of ${inputs.length} inputs kept\n`);
}
process.exitCode = code;

function jazzer(folders, options) {
  const program = join(root, 'node_modules/@jazzer.js/core/dist/cli.js');
  const args = [...settings.args, program, bundle, ...folders, '--sync', '-i', work];
  const child = spawn(process.execPath, [...args, '--', ...options, `-artifact_prefix=${work}/`], {
    stdio: 'inherit',
    env: { ...process.env, ...settings.env },
  });
  // It may be deep in its loop; of a run that is broken off nothing is kept.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => child.kill('SIGKILL'));
  return new Promise((resolve) => child.on('exit', (status) => resolve(status ?? 1)));
}
