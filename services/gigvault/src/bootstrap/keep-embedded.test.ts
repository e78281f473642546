import { chmodSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Log, silentLog } from '@gigvault/telemetry/log';
import { eventually } from '@gigvault/testkit/eventually';
import { lives } from '@gigvault/testkit/lives';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { type KeptPostgres, keepEmbedded } from './keep-embedded.ts';

let folder: string;
let dataDir: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gv-keep-'));
  chmodSync(folder, 0o711);
  dataDir = join(folder, 'pg');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const pidFile = () => join(dataDir, 'cluster', 'postmaster.pid');
const pid = () => Number.parseInt(readFileSync(pidFile(), 'utf8'), 10);

async function answers({ server }: KeptPostgres): Promise<void> {
  const { host, port, adminUser: user, adminPassword: password } = server;
  const client = new Client({ host, port, user, password, database: 'postgres' });
  client.on('error', () => undefined);
  await client.connect();
  await client.query('SELECT 1');
  await client.end();
}

describe('the embedded database', () => {
  it('comes back also when its next start fails, and the one after', async () => {
    const said: string[] = [];
    const log: Log = { ...silentLog, error: (_fields, text) => void said.push(text) };
    const kept = await keepEmbedded({ dataDir, log });
    const control = join(dataDir, 'cluster', 'global', 'pg_control');
    try {
      for (let round = 0; round < 2; round++) {
        said.length = 0;
        renameSync(control, `${control}.away`);
        process.kill(pid(), 'SIGKILL');
        const again = 'the embedded database cannot be started again; it is tried on';
        await eventually(() => expect(said).toContain(again));
        renameSync(`${control}.away`, control);
        await eventually(() => answers(kept));
      }
    } finally {
      await kept.stop();
    }
  }, 60_000);

  it.each<readonly [string, (first: number) => void]>([
    ['before its next start', () => undefined],
    ['in the middle of it', (first) => expect(existsSync(pidFile()) && pid()).not.toBe(first)],
    ['when the next is there', (first) => expect(lives(first) || !lives(pid())).toBe(false)],
  ])(
    'stays away once it is stopped %s',
    async (_when, moment) => {
      const kept = await keepEmbedded({ dataDir, log: silentLog });
      const first = pid();
      process.kill(first, 'SIGKILL');
      await kept.server.gone;
      await eventually(() => moment(first), 20_000, 1);
      await kept.stop();
      expect(existsSync(pidFile()) && lives(pid())).toBe(false);
    },
    60_000,
  );

  it('goes when the process exits without waiting', async () => {
    const kept = await keepEmbedded({ dataDir, log: silentLog });
    const running = pid();
    kept.abandon();
    await eventually(() => expect(lives(running)).toBe(false));
    await kept.stop();
  }, 60_000);
});
