import { readConfig } from '@gigvault/config/load-config';
import { keymgrConfig } from '@gigvault/keymgr/keymgr.config';
import { describe, expect, it } from '@jest/globals';
import { gigvaultConfig } from './gigvault.config.ts';
import { withHsm } from './hsm-flag.ts';

const URI = 'pkcs11:token=pki?module-path=/usr/lib/lib.so&pin-source=file:/run/secrets/pin';

/** As `up` reads them. */
function read(variables: Readonly<Record<string, string>>) {
  return readConfig(gigvaultConfig, { flags: { hsm: URI }, environment: variables });
}

describe('--hsm', () => {
  it.each<[string, Readonly<Record<string, string>>, object]>([
    ['alone', {}, {}],
    [
      'beside other backends',
      {
        GIGVAULT_KEYMGR_BACKENDS_0_NAME: 'cloud',
        GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'aws-kms',
        GIGVAULT_KEYMGR_DIRECTORY: '/var/lib/keys',
      },
      { cloud: { type: 'aws-kms', deletionDays: 30 } },
    ],
  ])('%s makes new keys in the token, in every process', (_, variables, others) => {
    const { config, written } = withHsm(read(variables));
    expect(config.keymgr.backend).toBe('hsm');
    expect(config.keymgr.directory).toBe(variables['GIGVAULT_KEYMGR_DIRECTORY']);
    expect(config.keymgr.backends).toEqual({ ...others, hsm: { type: 'pkcs11', uri: URI } });
    expect(keymgrConfig.parse(written['keymgr'])).toEqual(config.keymgr);
  });

  it('is refused beside a backend of its name, and beside another backend for new keys', () => {
    const named = {
      GIGVAULT_KEYMGR_BACKENDS_0_NAME: 'hsm',
      GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'memory',
    };
    const chosen = {
      GIGVAULT_KEYMGR_BACKENDS_0_NAME: 'cloud',
      GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'aws-kms',
      GIGVAULT_KEYMGR_BACKEND: 'cloud',
    };
    for (const variables of [named, chosen])
      expect(() => read(variables)).toThrow(
        expect.objectContaining({
          problems: [
            expect.objectContaining({
              pointer: 'hsm',
              message: expect.stringContaining(
                'is short for keymgr.backends.hsm and keymgr.backend',
              ),
            }),
          ],
        }),
      );
  });
});
