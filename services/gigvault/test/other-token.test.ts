import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { newRequest } from '@gigvault/testkit/acme-client';
import { connect } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { replaceSoftHsmToken, softHsmToken } from '@gigvault/testkit/softhsm-token';
import { guardedKeysIn } from '@gigvault/testkit/token-objects';
import { afterAll, describe, expect, it } from '@jest/globals';
import { DRIVER, processesOf } from './crash/processes.ts';
import { passphraseFile } from './root-passphrase.ts';
import { QUICK_CRL, START_TIMEOUT, startAcmeClient, usePki } from './use-pki.ts';

const token = await softHsmToken({ label: 'pki' });
// The PKI's processes take it from here.
Object.assign(process.env, token.environment);
afterAll(() => token.remove());

/** Exit codes. */
const KEY_UNAVAILABLE = 9;
const NOT_WELL = 10;
const OTHER =
  /Backend 'hsm': token 'pki' \(SoftHSM v2, serial [0-9a-f]+\) holds none of the keys that were made there, as that of '.+' and \d+ more: it is another token/;

describe('another token of the same label and PIN in the place of the right one — covers: T11', () => {
  const shared = usePki('one process', ...QUICK_CRL, '--hsm', token.uri);
  const ready = async () => (await shared.http.fetch(`${shared.pki.publicUrl}/ready`)).status;

  it(
    'is not ready, gets no key and tells no handle; with the right one back all goes on',
    async () => {
      const { pki } = shared;
      const { client, responder } = await startAcmeClient(shared);
      const names = ['swapped.localhost'];
      const order = await client.prove(await client.newOrder(names));
      const database = await connect(pki);
      const { rows } = await database
        .query<{ handle: string }>('SELECT handle FROM keymgr.key')
        .finally(() => database.end());
      const putBack = await replaceSoftHsmToken(token, 'pki');
      try {
        const driver = processesOf(pki).get(DRIVER);
        if (driver !== undefined) process.kill(driver, 'SIGKILL');
        await eventually(async () => expect(await ready()).toBe(503));
        // Nothing can sign the command another one.
        await rm(join(pki.home, 'config/gigvault/contexts/local/access-token.json'), {
          force: true,
        });
        const info = await pki.cli('backends', 'info', 'hsm', '-o', 'json');
        expect(info.code).toBe(NOT_WELL);
        expect(JSON.parse(info.stdout)).toMatchObject({
          healthy: false,
          problem: expect.stringMatching(OTHER),
        });
        const refused = [
          await pki.cli('key', 'generate', 'mine'),
          await pki.cli('backends', 'test', 'hsm'),
          await pki.cli('ca', 'rotate', '--yes', '--passphrase-file', passphraseFile(pki)),
          await pki.cli('cert', 'create', 'mine.localhost'),
        ];
        for (const { code, stderr } of refused)
          expect([code, stderr]).toEqual([KEY_UNAVAILABLE, expect.stringMatching(OTHER)]);
        const { text } = await client.post(order.finalize, { csr: newRequest(names).csr });
        expect(JSON.parse(text)).toMatchObject({ status: 'processing' });
        const shown = JSON.stringify([text, info, refused]);
        for (const { handle } of rows) expect(shown).not.toContain(handle);
        expect(await guardedKeysIn(token, 'pki')).toEqual([]);
      } finally {
        await putBack();
        await responder.stop();
      }
      await eventually(async () => expect(await ready()).toBe(200));
      expect(await client.settled(order)).toMatchObject({ status: 'valid' });
      expect(await pki.cli('key', 'generate', 'mine')).toMatchObject({
        code: 0,
      });
    },
    START_TIMEOUT,
  );

  it(
    'is refused by a start, which says why',
    async () => {
      const { pki } = shared;
      expect(await pki.stop()).toBe(0);
      const putBack = await replaceSoftHsmToken(token, 'pki');
      const refused = await pki.tryStart().finally(putBack);
      expect(refused).toMatchObject({
        code: KEY_UNAVAILABLE,
        stderr: expect.stringMatching(OTHER),
      });
      expect(refused.stdout).not.toContain('services');
      await pki.start();
      expect(await ready()).toBe(200);
    },
    START_TIMEOUT,
  );
});
