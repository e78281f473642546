import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { installationRoot } from '@gigvault/host/home';
import { commandLine } from '@gigvault/testkit/command-line';
import { MODES, type Mode } from '@gigvault/testkit/pki-process';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import { runCrashes } from './run-crashes.ts';
import { crashTable, summaryOf } from './summary.ts';

const USAGE = `npm run test:crash -- [--kills 1000] [--mode one|split|both] [--seed 1] [--within 5000] [--hsm]`;

const { values } = commandLine(USAGE, {
  options: {
    kills: { type: 'string', default: '1000' },
    mode: { type: 'string', default: 'both' },
    seed: { type: 'string', default: '1' },
    within: { type: 'string', default: '5000' },
    hsm: { type: 'boolean', default: false },
  },
});
const modes = ({ one: ['one process'], split: ['split'], both: MODES } as const)[
  values.mode as 'both'
] as readonly Mode[] | undefined;
const [kills, seed, servingWithin] = [values.kills, values.seed, values.within].map(Number) as [
  number,
  number,
  number,
];
if (modes === undefined || ![kills, seed, servingWithin].every(Number.isSafeInteger)) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}

const say = (line: string) => void process.stdout.write(`${line}\n`);
const folder = join(installationRoot(), '.build');
const logs = join(folder, 'crash-logs');
// A second signal ends it at once, and leaves its PKI behind.
const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort());
const token = values.hsm ? await softHsmToken({ label: 'crash' }) : undefined;
// The PKI's processes take it from here.
Object.assign(process.env, token?.environment);
const run = await runCrashes({
  modes,
  kills,
  seed,
  hsm: token?.uri,
  servingWithin: () => servingWithin,
  logs,
  say,
  signal: stopping.signal,
});
await token?.remove();
const summary = summaryOf(run);
say(`\n${crashTable(summary)}`);
mkdirSync(folder, { recursive: true });
const machine = { cpu: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.version };
const file = join(folder, 'crash.json');
writeFileSync(
  file,
  `${JSON.stringify({ machine, seed, hsm: values.hsm, servingWithin, ...summary, ...run }, null, 2)}\n`,
);
say(`JSON: ${file}`);
process.exit(summary.findings === 0 ? 0 : 1);
