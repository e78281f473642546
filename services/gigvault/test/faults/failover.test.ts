import { readFileSync } from 'node:fs';
import { checkPki } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { httpClient } from '@gigvault/testkit/http-client';
import { type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, START_TIMEOUT } from '../use-pki.ts';
import type { AcmeLoad } from './acme-load.ts';
import { FAILOVER, IN_TIME, modesFor } from './limits.ts';
import { type ReplicatedPostgres, startReplicatedPostgres } from './replicated-postgres.ts';
import type { StatusProbe } from './status-probe.ts';
import { startUnderLoad } from './under-load.ts';

const CLIENTS = 6;
const DATABASE = 'gigvault';

// Each process is told where the database may be, and looks for it by itself.
describe.each(modesFor('split'))('a primary and its synchronous standby, %s', (mode) => {
  let servers: ReplicatedPostgres;
  let pki: PkiProcess;
  let load: AcmeLoad;
  let probe: StatusProbe;

  beforeAll(async () => {
    servers = await startReplicatedPostgres();
    pki = await startPki(mode, ...QUICK_CRL, '--database-url', servers.url(DATABASE));
    const http = httpClient(readFileSync(pki.rootFile));
    ({ load, probe } = await startUnderLoad({ pki, http }, CLIENTS));
    http.close();
  }, START_TIMEOUT);

  afterAll(async () => {
    await load?.stop();
    await probe?.stop();
    await pki?.dispose();
    await servers?.stop();
  }, START_TIMEOUT);

  it(
    'the primary is killed and the standby promoted: issuance goes on within 30 s — covers: T7',
    async () => {
      await servers.primary.kill();
      await servers.standby.run('SELECT pg_promote()');
      expect(await load.next()).toBeLessThan(FAILOVER);
    },
    START_TIMEOUT,
  );

  it(
    'the old primary comes back, and takes writes: nobody goes to it — covers: T8',
    async () => {
      await servers.primary.start();
      expect(await servers.primary.run('SELECT pg_is_in_recovery() AS standby')).toEqual([
        { standby: false },
      ]);
      // Every connection is lost once more: each process looks at both servers again.
      await servers.standby.run(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'gigvault-%'`,
      );
      expect(await load.next()).toBeLessThan(FAILOVER);
      const users = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name LIKE 'gigvault-%'`;
      // Those who looked are gone in a moment.
      await eventually(async () => expect(await servers.primary.run(users)).toEqual([{ n: 0 }]));
    },
    START_TIMEOUT,
  );

  it(
    'through both of it: 503 with Retry-After, nothing acknowledged lost — covers: T6, T7',
    async () => {
      await load.stop();
      expect(load.turnedAway()).toBeGreaterThan(0);
      expect(load.surprises).toEqual([]);
      const connection = servers.standby.connection(DATABASE);
      expect(await load.lost(connection)).toEqual([]);
      const { wrong, times } = await probe.stop();
      expect(wrong).toEqual([]);
      expect(times.at(-1)).toBeLessThan(IN_TIME);
      expect((await checkPki(pki, { server: connection })).findings).toEqual([]);
    },
    START_TIMEOUT,
  );

  it(
    'a start finds the one that takes writes, wherever it stands in the URL — covers: T7',
    async () => {
      await pki.stop();
      await pki.start();
      expect(pki.output()).toMatch(/DEV PROFILE/);
    },
    START_TIMEOUT,
  );
});
