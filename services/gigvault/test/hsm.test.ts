import { X509Certificate } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import type { PkiProcess } from '@gigvault/testkit/pki-process';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import { TEST_PIN } from '@gigvault/testkit/test-token';
import { CONFINED, guardedKeysIn } from '@gigvault/testkit/token-objects';
import { systemClock } from '@gigvault/time/clock';
import { afterAll, describe, expect, it } from '@jest/globals';
import { DRIVER, processesOf } from './crash/processes.ts';
import { startUnderLoad } from './faults/under-load.ts';
import { privateKeyFiles } from './private-key-files.ts';
import { passphraseFile } from './root-passphrase.ts';
import { QUICK_CRL, START_TIMEOUT, startAcmeClient, usePki } from './use-pki.ts';

const token = await softHsmToken({ label: 'pki' });
// The PKI's processes take it from here.
Object.assign(process.env, token.environment);
afterAll(() => token.remove());

/** Exit codes. */
const KEY_UNAVAILABLE = 9;
const NOT_WELL = 10;
const KILLS = 4;
/** Milliseconds between two deaths of the driver, and how soon requests are answered again after one (T12). */
const KILL_EVERY = 700;
const RECOVERY = 2_000;
/** What a machine may be slower by, that runs other tests beside this one. */
const PATIENCE = 4;

// In one process it is the same driver: that is tried in hsm-crash.test.ts.
describe('all keys in a token, split', () => {
  const shared = usePki('split', ...QUICK_CRL, '--hsm', token.uri);

  it('issues, and no key of the PKI is anywhere else — covers: G23, G91', async () => {
    const { client, responder } = await startAcmeClient(shared);
    try {
      expect(await client.certificate(['a.localhost'])).toContain('BEGIN CERTIFICATE');
    } finally {
      await responder.stop();
    }
    expect(await backendsOf(shared.pki)).toEqual([{ backend: 'hsm', keys: expect.any(Number) }]);
    const { stdout: listed } = await shared.pki.cli('backends', 'list', '-o', 'json');
    expect(JSON.parse(listed)).toMatchObject({
      items: [{ name: 'hsm', type: 'pkcs11', default: true, healthy: true }],
    });
    expect(await shared.pki.cli('backends', 'test', 'hsm')).toMatchObject({ code: 0 });
    // As another program sees the token; and without the PIN it sees none of them.
    const keys = await guardedKeysIn(token, 'pki');
    expect(keys.length).toBeGreaterThan(0);
    expect(new Set(keys)).toEqual(new Set([`Private: ${CONFINED}`]));
    expect(await guardedKeysIn(token, 'pki', '')).toEqual([]);
    // The services' own TLS keys, which prove who they are to each other, and the root's, encrypted.
    const others = /^(tls\/[a-z-]+\.key|root\/root\.key)$/;
    expect(privateKeyFiles(shared.pki.dataDir).filter((file) => !others.test(file))).toEqual([]);
  });

  it(
    'the driver is killed again and again under load: nothing wrong is signed, and it goes on — covers: T12, T13',
    async () => {
      const { load, probe } = await startUnderLoad(shared, 2);
      for (let i = 0; i < KILLS; i++) {
        await eventually(() => expect(driversOf(shared.pki)).not.toEqual([]));
        for (const pid of driversOf(shared.pki)) process.kill(pid, 'SIGKILL');
        await systemClock.sleep(KILL_EVERY);
      }
      expect(await load.next()).toBeLessThan(RECOVERY * PATIENCE);
      await load.stop();
      expect(load.surprises).toEqual([]);
      expect(await load.lost()).toEqual([]);
      expect((await probe.stop()).wrong).toEqual([]);
    },
    START_TIMEOUT,
  );

  it(
    'the token is taken away: not ready, nothing is issued, and all is well once it is back — covers: T11',
    async () => {
      const { client, responder } = await startAcmeClient(shared, 5_000);
      const certificateFile = join(shared.pki.home, 'revoked.crt');
      await writeFile(certificateFile, await client.certificate(['revoked.localhost']));
      // Nothing can sign the command another one.
      const accessToken = join(shared.pki.home, 'config/gigvault/contexts/local/access-token.json');
      const info = () => shared.pki.cli('backends', 'info', 'hsm', '-o', 'json');
      const ready = async () => (await shared.http.fetch(`${shared.pki.publicUrl}/ready`)).status;
      try {
        await rename(token.folder, `${token.folder}.away`);
        for (const pid of driversOf(shared.pki)) process.kill(pid, 'SIGKILL');
        await eventually(async () => expect(await ready()).toBe(503));
        await rm(accessToken);
        const { code, stdout } = await info();
        expect(code).toBe(NOT_WELL);
        expect(JSON.parse(stdout)).toMatchObject({
          type: 'pkcs11',
          healthy: false,
          problem: expect.stringMatching(/^Backend 'hsm': /),
        });
        const revoked = await shared.pki.cli('cert', 'revoke', certificateFile, '--yes');
        expect(revoked).toMatchObject({ code: 0 });
        await expect(client.certificate(['b.localhost'])).rejects.toThrow();
        expect(await backendsOf(shared.pki)).toHaveLength(1);
      } finally {
        await rename(`${token.folder}.away`, token.folder);
      }
      try {
        await eventually(async () => expect(await ready()).toBe(200));
        expect(await client.certificate(['c.localhost'])).toContain('BEGIN CERTIFICATE');
      } finally {
        await responder.stop();
      }
    },
    START_TIMEOUT,
  );

  it(
    'starts again with the same token only, says what is wrong with another, and makes the CA’s next key in it — covers: G24',
    async () => {
      const { pki } = shared;
      // Of the first start.
      const passphrase = ['--passphrase-file', passphraseFile(pki)];
      expect(await pki.stop()).toBe(0);
      await writeFile(token.pinFile, '000000\n');
      const wrong = await pki.tryStart();
      await writeFile(token.pinFile, `${TEST_PIN}\n`);
      expect(wrong).toMatchObject({
        code: KEY_UNAVAILABLE,
        stderr: expect.stringContaining('The PIN is wrong'),
      });
      const other = await pki.tryStart('--hsm', token.uri.replace('token=pki', 'token=other'));
      expect(other).toMatchObject({
        code: KEY_UNAVAILABLE,
        stderr: expect.stringContaining("token 'pki'"),
      });
      await pki.start();
      const { client, responder } = await startAcmeClient(shared);
      try {
        expect(await client.certificate(['d.localhost'])).toContain('BEGIN CERTIFICATE');
        expect(await pki.cli('ca', 'rotate', ...passphrase, '--yes')).toMatchObject({ code: 0 });
        const { issuer } = new X509Certificate(await client.certificate(['e.localhost']));
        expect(issuer).toMatch(/Issuing CA G2$/);
        expect(await backendsOf(pki)).toHaveLength(1);
      } finally {
        await responder.stop();
      }
    },
    START_TIMEOUT,
  );
});

/** Where the keys are that the database knows, and their earlier versions. */
async function backendsOf(pki: PkiProcess): Promise<unknown[]> {
  const database = await connect(pki);
  try {
    const keys = `SELECT backend, count(*)::int AS keys
      FROM (SELECT backend FROM keymgr.key UNION ALL SELECT backend FROM keymgr.key_version) AS p GROUP BY backend`;
    return (await database.query(keys)).rows;
  } finally {
    await database.end();
  }
}

/** The process that holds the token's library, while there is one. */
function driversOf(pki: PkiProcess): number[] {
  const driver = processesOf(pki).get(DRIVER);
  return driver === undefined ? [] : [driver];
}
