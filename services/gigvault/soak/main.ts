import { commandLine } from '@gigvault/testkit/command-line';
import { Client } from 'pg';
import { startOwnSuite } from '../bench/own-suite.ts';
import { type Sample, SHORTEST, slope, soak } from './flat-memory.ts';
import { createLoad } from './load.ts';
import { compareTableSizes } from './table-size.ts';

/** MiB that memory may grow for each 100,000 certificates, and how many times slower large tables may be (docs/testing.md). */
const MAX_SLOPE = 1;
const MAX_RATIO = 1.3;
const MINUTE = 60_000;

/** Those behind issuance and revocation. */
const SERVICES = ['auth', 'keymgr', 'ca', 'audit', 'ocsp', 'crl', 'notify'] as const;
/** Full soon, so that what goes on growing is seen. */
const SMALL_CACHES = { ocsp: { stateCacheEntries: 1_000, responseCacheSize: '1MiB' } };

const { values } = commandLine('npm run soak [-- --minutes 15 | --sizes]', {
  options: {
    minutes: { type: 'string', default: '15' },
    sizes: { type: 'boolean', default: false },
  },
});
const duration = Number(values.minutes) * MINUTE;
if (!values.sizes && !(duration >= SHORTEST)) {
  print(
    `--minutes ${values.minutes} is too short: at least ${SHORTEST / MINUTE}, or there is no line through the samples`,
  );
  process.exit(2);
}
const world = await startOwnSuite(SERVICES, SMALL_CACHES);
const database = new Client(world.admin);
await database.connect();
let failed = false;
try {
  if (values.sizes) await checkSizes();
  else await checkMemory();
} finally {
  await database.end();
  await world.stop();
}
process.exit(failed ? 1 : 0);

async function checkMemory(): Promise<void> {
  print('certificates   live MiB   resident MiB   issue p50 ms   p99 ms');
  const load = await createLoad(world.suite);
  const samples = await soak(load, duration, (sample) => print(row(sample)));
  const live = slope(samples, 'live');
  print(`resident: ${slope(samples, 'resident').toFixed(2)} MiB for each 100,000 certificates`);
  judge(`live: ${live.toFixed(2)} MiB for each 100,000 certificates`, live <= MAX_SLOPE);
}

async function checkSizes(): Promise<void> {
  const load = await createLoad(world.suite);
  for (const { operation, small, large } of await compareTableSizes(load, database)) {
    const times = `p99 ${small.toFixed(2)} ms at 10,000 rows, ${large.toFixed(2)} ms at 1,000,000`;
    judge(`${operation}: ${times}`, large <= small * MAX_RATIO);
  }
}

function row({ certificates, live, resident, p50, p99 }: Sample): string {
  const cells = [live, resident, p50, p99].map((value) => value.toFixed(1).padStart(12));
  return `${String(certificates).padStart(12)}${cells.join('')}`;
}

function judge(what: string, good: boolean): void {
  failed ||= !good;
  print(`${good ? '✔' : '✘'} ${what}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
