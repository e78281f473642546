import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createMtlsIdentity } from '@gigvault/rpc/mtls-identity';
import { createTestIdentities } from '@gigvault/testkit/test-identities';
import { afterAll, describe, expect, it } from '@jest/globals';
import { storeIdentity } from './identity-files.ts';
import { identityReloader } from './identity-reloader.ts';

const folder = mkdtempSync(join(tmpdir(), 'gv-identity-'));
afterAll(() => rmSync(folder, { recursive: true }));
const files = {
  servicesCa: join(folder, 'ca.crt'),
  certificate: join(folder, 'ra.crt'),
  privateKey: join(folder, 'ra.key'),
};

const ours = createTestIdentities();
const own = ours.identity('ra').current();
const { trustDomain } = ours.identity('ra');

function reloaded() {
  writeFileSync(files.servicesCa, own.servicesCa);
  const identity = createMtlsIdentity('ra', trustDomain, own);
  return { identity, reload: () => identityReloader(identity, files).reload() };
}

// covers: T62
describe('an identity that somebody put into the files', () => {
  it('is taken over when it is this peer’s', async () => {
    const { identity, reload } = reloaded();
    const next = ours.identity('ra').current();
    await storeIdentity(files, next);
    await reload();
    expect(identity.current().privateKey.trim()).toBe(next.privateKey.trim());
  });

  it.each([
    [
      'another peer’s',
      ours.identity('policy').current(),
      /it is for URI:.*policy, not for URI:.*ra\.$/,
    ],
    [
      'of another CA',
      createTestIdentities().identity('ra').current(),
      /it is not signed by the services CA/,
    ],
    ['half', { ...own, privateKey: 'x' }, /TLS cannot use it/],
  ])('is refused when it is %s, and what was there stays', async (_what, material, said) => {
    const { identity, reload } = reloaded();
    await storeIdentity(files, material);
    await expect((async () => reload())()).rejects.toThrow(said);
    expect(identity.current()).toBe(own);
  });
});
