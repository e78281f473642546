import { appendFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { AcmeClient } from '@gigvault/testkit/acme-client';
import { checkPki } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { type HttpClient, httpClient } from '@gigvault/testkit/http-client';
import { type PkiProcess, preparePki } from '@gigvault/testkit/pki-process';
import { runOrFail } from '@gigvault/testkit/run-program';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, START_TIMEOUT, startAcmeClient } from '../use-pki.ts';
import type { AcmeLoad } from './acme-load.ts';
import { IN_TIME, modesFor, RECOVERY } from './limits.ts';
import type { StatusProbe } from './status-probe.ts';
import { startUnderLoad } from './under-load.ts';

const CLIENTS = 6;
/** Milliseconds for which the disk stays full once that is noticed. */
const FULL = 5_000;
/** Room for a new cluster with two segments of its log, and some to fill. */
const DISK = '160m';

/** As root, or with `sudo -n`, as the packages that the tests need are installed. Rejects with what it said. */
const asRoot = (...command: [string, ...string[]]) =>
  process.getuid?.() === 0
    ? runOrFail(command[0], command.slice(1))
    : runOrFail('sudo', ['-n', ...command]);

// In one process nobody starts a service again that ends with its database.
describe.each(modesFor('one process'))('the disk of the database, %s', (mode) => {
  let pki: PkiProcess;
  let disk: string;
  let load: AcmeLoad;
  let probe: StatusProbe;
  let http: HttpClient;
  let newcomer: AcmeClient;

  /** The status of the answer to a client that tries once, and whether it says when to come again. */
  async function newOrder(): Promise<[number, boolean]> {
    const order = { identifiers: [{ type: 'dns', value: 'newcomer.localhost' }] };
    const { status, headers } = await newcomer.post(`${pki.publicUrl}/acme/new-order`, order);
    return [status, /^\d+$/.test(String(headers['retry-after']))];
  }

  beforeAll(async () => {
    pki = await preparePki(mode, ...QUICK_CRL);
    // A file system of its own for the database; the rest of the data directory is elsewhere.
    disk = join(pki.dataDir, 'pg');
    mkdirSync(disk, { recursive: true, mode: 0o700 });
    await asRoot('mount', '-t', 'tmpfs', '-o', `size=${DISK},mode=0755`, 'gigvault-test', disk);
    await pki.start();
    http = httpClient(readFileSync(pki.rootFile));
    const { client, responder } = await startAcmeClient({ pki, http });
    await responder.stop();
    newcomer = client;
    ({ load, probe } = await startUnderLoad({ pki, http }, CLIENTS));
  }, START_TIMEOUT);

  afterAll(async () => {
    await load?.stop();
    await probe?.stop();
    http?.close();
    // With its database, whose pid file goes with the disk.
    await pki?.stop();
    if (disk) await asRoot('umount', '-l', disk);
    await pki?.dispose();
  }, START_TIMEOUT);

  it(
    'is full: 503 with Retry-After; with room again issuance goes on within 10 s — covers: T6',
    async () => {
      const ballast = join(disk, 'ballast');
      fill(ballast);
      // Those of the load may all wait for a validation, which nobody can write down.
      await eventually(async () => expect(await newOrder()).toEqual([503, true]), 30_000);
      await systemClock.sleep(FULL);
      const full = load.count();
      await systemClock.sleep(FULL);
      // Those that were under way may have ended; none was begun and ended.
      expect(load.count() - full).toBeLessThanOrEqual(CLIENTS);
      rmSync(ballast);
      expect(await load.next()).toBeLessThan(RECOVERY);
    },
    START_TIMEOUT,
  );

  it(
    'through all of it: OCSP and CRLs in time, nothing acknowledged lost — covers: T6',
    async () => {
      await load.stop();
      expect(load.surprises).toEqual([]);
      expect(await load.lost()).toEqual([]);
      const { wrong, times } = await probe.stop();
      expect(wrong).toEqual([]);
      expect(times.at(-1)).toBeLessThan(IN_TIME);
      expect((await checkPki(pki)).findings).toEqual([]);
    },
    START_TIMEOUT,
  );
});

/** Writes until there is no room left. */
function fill(file: string): void {
  for (let size = 1 << 20; size >= 4_096; size >>= 1) {
    const part = Buffer.alloc(size);
    try {
      for (;;) appendFileSync(file, part);
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toBe('ENOSPC');
    }
  }
}
