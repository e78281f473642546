import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { installationRoot, installedVersion } from '@gigvault/host/home';
import { commandLine } from '@gigvault/testkit/command-line';
import { BENCHES } from './benches.ts';
import { keeps, type Measurement } from './measurement.ts';
import { benchPeers } from './peers.ts';
import { HEADING, lineOf } from './table.ts';

/** docs/operations/benchmarks.md. */
const USAGE = `npm run bench [-- [--quick] [--peers | ${Object.keys(BENCHES).join(' | ')} …]]`;
const { values: flags, positionals } = commandLine(USAGE, {
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    peers: { type: 'boolean', default: false },
  },
});
const unknown = positionals.filter((name) => !Object.hasOwn(BENCHES, name));
if (unknown.length > 0) {
  process.stderr.write(
    `error: no bench ${unknown.join(' ')}; there are ${Object.keys(BENCHES).join(' ')}\n`,
  );
  process.exit(2);
}
const effort = flags.quick ? { rounds: 2, roundMs: 2_000 } : { rounds: 5, roundMs: 4_000 };

const measurements: (Measurement & { bench: string })[] = [];
const failed: string[] = [];
print(HEADING);
for (const [bench, run] of Object.entries(flags.peers ? { peers: benchPeers } : BENCHES)) {
  if (positionals.length > 0 && !positionals.includes(bench)) continue;
  try {
    for await (const measurement of run(effort)) {
      measurements.push({ bench, ...measurement });
      print(lineOf(measurement));
    }
  } catch (error) {
    failed.push(bench);
    process.stderr.write(`error: ${bench}: ${(error as Error).message}\n`);
  }
}

const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  node: process.version,
  version: installedVersion(),
};
const missed = measurements.filter((row) => row.floor !== undefined && !keeps(row, row.floor));
const floors =
  missed.length === 0
    ? 'All floors of what was measured are met.'
    : `Floors missed: ${missed.map(({ bench, work }) => `${bench} (${work})`).join(', ')}.`;
print(`
${machine.cores} × ${machine.cpu}, Node ${machine.node}. fsync on, every certificate audited; medians of ${effort.rounds} rounds.
${floors}${failed.length === 0 ? '' : ` Failed: ${failed.join(', ')}.`}`);
const folder = join(installationRoot(), '.build');
mkdirSync(folder, { recursive: true });
const file = join(folder, 'bench.json');
writeFileSync(file, `${JSON.stringify({ machine, effort, measurements, failed }, null, 2)}\n`);
print(`JSON: ${file}`);
process.exit(failed.length === 0 ? 0 : 1);

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
