import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { installationRoot, installedVersion } from '@gigvault/host/home';
import { benchIssuance } from './issuance.ts';
import { benchStart } from './start.ts';

/** One row of the table. */
export interface Measurement {
  readonly work: string;
  readonly value: string;
  /** What else was measured, for the JSON. */
  readonly details: Readonly<Record<string, number>>;
}

const measurements: Measurement[] = [];
for (const bench of [benchStart, benchIssuance]) {
  for (const measurement of await bench()) {
    measurements.push(measurement);
    process.stdout.write(`${measurement.work.padEnd(58)} ${measurement.value}\n`);
  }
}
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: cpus().length,
  node: process.version,
  version: installedVersion(),
};
process.stdout.write(
  `\n${machine.cores} × ${machine.cpu}, Node ${machine.node}. fsync on, every certificate audited; medians of the rounds.\n`,
);
const folder = join(installationRoot(), '.build');
mkdirSync(folder, { recursive: true });
writeFileSync(
  join(folder, 'bench.json'),
  `${JSON.stringify({ machine, measurements }, null, 2)}\n`,
);
process.stdout.write(`JSON: ${join(folder, 'bench.json')}\n`);
process.exit(0);
