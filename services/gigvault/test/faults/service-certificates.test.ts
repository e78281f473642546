import { X509Certificate } from 'node:crypto';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { eventually } from '@gigvault/testkit/eventually';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, describe, expect, it } from '@jest/globals';
import { QUICK_CRL, START_TIMEOUT, startAcmeClient, usePki } from '../use-pki.ts';
import { startAcmeLoad } from './acme-load.ts';
import { modesFor } from './limits.ts';

const CLIENTS = 4;
/** Milliseconds. Renewed after two thirds of it. */
const LIFE = 24_000;

const folder = mkdtempSync(join(tmpdir(), 'gv-lives-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = join(folder, 'gigvault.yaml');
const life = `{ defaultValidity: ${LIFE}ms, maxValidity: ${LIFE}ms, backdate: 0s }`;
writeFileSync(file, `ca: { profiles: { service: ${life}, edge: ${life} } }\n`);

// Services must prove to each other who they are.
describe.each(modesFor('split'))('service certificates that live for seconds, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL, '--config', file);

  it(
    'are renewed under load, each of them, without a call that fails — covers: T62',
    async () => {
      const before = certificates();
      const load = await startAcmeLoad(shared.pki, CLIENTS);
      await eventually(() => {
        const now = certificates();
        for (const [name, { serialNumber }] of before)
          expect([name, now.get(name)?.serialNumber]).not.toEqual([name, serialNumber]);
      }, 3 * LIFE);
      const since = load.count();
      // The new ones are used: connections of the old ones end, others are made.
      await load.next();
      await load.stop();
      expect(load.count()).toBeGreaterThan(since);
      expect([load.turnedAway(), load.unanswered(), load.surprises]).toEqual([0, 0, []]);
      expect(await load.lost()).toEqual([]);
    },
    START_TIMEOUT,
  );

  it(
    'may all have expired while everything was off: it starts, and works — covers: T62',
    async () => {
      await shared.pki.stop();
      const ends = [...certificates().values()].map(({ validTo }) => Date.parse(validTo));
      await systemClock.sleep(Math.max(0, Math.max(...ends) + 1_000 - systemClock.now()));
      await shared.pki.start();
      const { client, responder } = await startAcmeClient(shared);
      await client.certificate(['after-the-end.localhost']);
      await responder.stop();
      const expired = [...certificates()].filter(
        ([, { validTo }]) => Date.parse(validTo) < systemClock.now(),
      );
      expect(expired.map(([name]) => name)).toEqual([]);
    },
    START_TIMEOUT,
  );

  /** Every peer's certificate, and the public listener's. */
  function certificates(): Map<string, X509Certificate> {
    const files = globSync(join(shared.pki.dataDir, 'tls', '*.crt')).filter(
      (path) => !path.endsWith('services-ca.crt'),
    );
    expect(files.length).toBeGreaterThan(1);
    return new Map(files.map((path) => [basename(path), new X509Certificate(readFileSync(path))]));
  }
});
