import { readConfig } from '@gigvault/config/load-config';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import { gigvaultConfig, numberedFlagKey } from './gigvault.config.ts';

const PIN = 'file:///run/secrets/pin';
const LIBRARY = '/usr/lib/softhsm/libsofthsm2.so';
const URI = `pkcs11:slot-id=3?module-path=${LIBRARY}&pin-source=${PIN}`;
const TOKEN = { GIGVAULT_KEYMGR_BACKENDS_0_NAME: 'x', GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'pkcs11' };

/** Flags as they are typed, without their dashes. */
function read(flags: Record<string, string>, environment: Record<string, string>) {
  const byKey = Object.entries(flags).map(([flag, value]) => [
    numberedFlagKey(flag) ?? flag,
    value,
  ]);
  return readConfig(gigvaultConfig, { flags: Object.fromEntries(byKey), environment });
}

function problemsOf(environment: Record<string, string>): string[] {
  try {
    read({}, environment);
  } catch (error) {
    if (error instanceof GigvaultError)
      return error.problems.map(({ pointer, message }) => `${pointer}: ${message}`);
    throw error;
  }
  throw new Error('the configuration was accepted');
}

describe('key backends', () => {
  const variables = {
    GIGVAULT_KEYMGR_BACKEND: 'hsm',
    GIGVAULT_KEYMGR_BACKENDS_0_NAME: 'hsm',
    GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'pkcs11',
    GIGVAULT_KEYMGR_BACKENDS_0_URI: URI,
    GIGVAULT_KEYMGR_BACKENDS_0_SESSIONS: '4',
    GIGVAULT_KEYMGR_BACKENDS_0_ROLES: 'admin,operator',
    GIGVAULT_KEYMGR_BACKENDS_1_NAME: 'tpm',
    GIGVAULT_KEYMGR_BACKENDS_1_TYPE: 'tpm2',
    GIGVAULT_KEYMGR_BACKENDS_1_TOKEN: 'pki',
    GIGVAULT_KEYMGR_BACKENDS_1_PIN_FILE: '/run/secrets/pin',
    GIGVAULT_KEYMGR_BACKENDS_2_NAME: 'cloud',
    GIGVAULT_KEYMGR_BACKENDS_2_TYPE: 'aws-kms',
    GIGVAULT_KEYMGR_BACKENDS_2_REGION: 'eu-central-1',
    GIGVAULT_KEYMGR_BACKENDS_2_FIPS: 'true',
    GIGVAULT_KEYMGR_BACKENDS_2_CREDENTIALS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
    GIGVAULT_KEYMGR_BACKENDS_2_CREDENTIALS_SECRET_ACCESS_KEY: 'vault://secret/aws#key',
    GIGVAULT_KEYMGR_BACKENDS_3_NAME: 'by-parts',
    GIGVAULT_KEYMGR_BACKENDS_3_TYPE: 'pkcs11',
    GIGVAULT_KEYMGR_BACKENDS_3_LIBRARY: LIBRARY,
    GIGVAULT_KEYMGR_BACKENDS_3_SLOT_ID: '3',
    GIGVAULT_KEYMGR_BACKENDS_3_PIN: 'env://HSM_PIN',
    GIGVAULT_KEYMGR_BACKENDS_7_NAME: 'scratch',
    GIGVAULT_KEYMGR_BACKENDS_7_TYPE: 'memory',
    GIGVAULT_KEYMGR_DIRECTORY: '/var/lib/keychain/keys',
  };

  it('are configured by variables — covers: K140, K141, K142, K147', () => {
    const { config, unknownVariables } = read({}, variables);
    expect(unknownVariables).toEqual([]);
    expect(config.keymgr).toMatchObject({ backend: 'hsm', directory: '/var/lib/keychain/keys' });
    expect(config.keymgr.backends).toEqual({
      hsm: { type: 'pkcs11', uri: URI, sessions: 4, roles: ['admin', 'operator'] },
      tpm: { type: 'tpm2', device: '/dev/tpmrm0', token: 'pki', pin: PIN },
      cloud: {
        ...{ type: 'aws-kms', region: 'eu-central-1', fips: true, deletionDays: 30 },
        credentials: {
          accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
          secretAccessKey: 'vault://secret/aws#key',
        },
      },
      'by-parts': { type: 'pkcs11', library: LIBRARY, slotId: 3, pin: 'env://HSM_PIN' },
      scratch: { type: 'memory' },
    });
  });

  it('and by flags, which win — covers: K40, K147', () => {
    const flags = {
      'keymgr-backends-7-roles': 'admin',
      'keymgr-backends-8-name': 'more',
      'keymgr-backends-8-type': 'memory',
      'keymgr-backends-2-region': 'us-east-1',
    };
    expect(read(flags, variables).config.keymgr.backends).toMatchObject({
      scratch: { type: 'memory', roles: ['admin'] },
      more: { type: 'memory' },
      cloud: { region: 'us-east-1' },
    });
  });

  it.each<[Record<string, string>, ...string[]]>([
    [
      { GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'memory' },
      'GIGVAULT_KEYMGR_BACKENDS_0_TYPE: belongs to a section without a name: keymgr.backends.0.name is missing',
    ],
    ...['pkcs8', '__proto__', 'a.b', ''].map((name): [Record<string, string>, string] => [
      { GIGVAULT_KEYMGR_BACKENDS_0_NAME: name, GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'memory' },
      `GIGVAULT_KEYMGR_BACKENDS_0_NAME: "${name}" cannot be the name of a section of keymgr.backends`,
    ]),
    ...[':65536', 'localhost:99999', '[::1]:70000'].map(
      (address): [Record<string, string>, string] => [
        { GIGVAULT_GRPC_ADDRESS: address },
        `grpc.address: must have a port from 0 to 65535, not "${address}" (GIGVAULT_GRPC_ADDRESS)`,
      ],
    ),
    [
      { GIGVAULT_KEYMGR_BACKENDS_0_NAME: 'x', GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'floppy' },
      'keymgr.backends.x.type: must be one of pkcs11, tpm2, aws-kms, memory, not "floppy" (GIGVAULT_KEYMGR_BACKENDS_0_TYPE)',
    ],
    [
      { GIGVAULT_KEYMGR_BACKENDS_0_NAME: 'x', GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'pkcs11' },
      'keymgr.backends.x.uri: is missing, or library, token and pin',
    ],
    [
      { ...TOKEN, GIGVAULT_KEYMGR_BACKENDS_0_LIBRARY: LIBRARY },
      'keymgr.backends.x.pin: is missing',
      'keymgr.backends.x.token: is missing, or slotId',
    ],
    [
      { ...TOKEN, GIGVAULT_KEYMGR_BACKENDS_0_URI: URI, GIGVAULT_KEYMGR_BACKENDS_0_SLOT_ID: '3' },
      'keymgr.backends.x.slotId: must not stand beside uri, which says the same, not 3 (GIGVAULT_KEYMGR_BACKENDS_0_SLOT_ID)',
    ],
    [
      { ...TOKEN, GIGVAULT_KEYMGR_BACKENDS_0_URI: 'pkcs11:token=pki?module-path=lib.so' },
      'keymgr.backends.x.uri: is refused: module-path is not an absolute path (GIGVAULT_KEYMGR_BACKENDS_0_URI)',
    ],
    [
      {
        GIGVAULT_KEYMGR_BACKENDS_0_NAME: 'x',
        GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'memory',
        GIGVAULT_KEYMGR_BACKENDS_1_NAME: 'x',
        GIGVAULT_KEYMGR_BACKENDS_1_TYPE: 'aws-kms',
      },
      'GIGVAULT_KEYMGR_BACKENDS_1_NAME: "x" is the name of number 0 already',
    ],
    [
      { GIGVAULT_HSM: 'pkcs11:token=pki?module-path=/lib.so&pin-value=CANARY1' },
      'hsm: is refused: pin-value shows the PIN to whoever sees the URI; name a file with pin-source (GIGVAULT_HSM)',
    ],
  ])('that are wrong are told by variable and key: %j', (environment, ...problems) => {
    expect(problemsOf(environment)).toEqual(problems);
    expect({}).not.toHaveProperty('type');
  });

  it.each<[string, string, string]>([
    ['a PIN', 'GIGVAULT_KEYMGR_BACKENDS_0_PIN', 'tpm2'],
    ['an AWS secret', 'GIGVAULT_KEYMGR_BACKENDS_0_CREDENTIALS_SECRET_ACCESS_KEY', 'aws-kms'],
    ['a URI with a PIN', 'GIGVAULT_KEYMGR_BACKENDS_0_URI', 'pkcs11'],
    ['a token', 'GIGVAULT_SECRETS_VAULT_TOKEN', 'memory'],
    ['a whole section', 'GIGVAULT_KEYMGR_BACKENDS', 'memory'],
  ])('%s where its place belongs is not repeated — covers: T66', (_, variable, type) => {
    const section = { GIGVAULT_KEYMGR_BACKENDS_0_NAME: 'x', GIGVAULT_KEYMGR_BACKENDS_0_TYPE: type };
    const told = problemsOf({
      ...(variable === 'GIGVAULT_KEYMGR_BACKENDS' ? {} : section),
      [variable]: '{"pin":"CANARY1"}',
    });
    expect(told.join()).toContain(variable);
    expect(told.join()).not.toContain('CANARY1');
  });

  it('in memory are not for new keys: those of the CAs would die with the process', () => {
    const section = {
      GIGVAULT_KEYMGR_BACKENDS_0_NAME: 'x',
      GIGVAULT_KEYMGR_BACKENDS_0_TYPE: 'memory',
    };
    expect(problemsOf({ ...section, GIGVAULT_KEYMGR_BACKEND: 'x' })).toEqual([
      expect.stringMatching(/^keymgr\.backend: must not be in memory/),
    ]);
  });

  it('that are misspelt are told with what was meant', () => {
    const environment = { ...variables, GIGVAULT_KEYMGR_BACKENDS_0_ROLE: 'x' };
    expect(read({}, environment).unknownVariables).toEqual([
      {
        pointer: 'GIGVAULT_KEYMGR_BACKENDS_0_ROLE',
        message: 'means nothing; did you mean GIGVAULT_KEYMGR_BACKENDS_0_ROLES?',
      },
    ]);
  });

  it('have no other flags', () => {
    expect(numberedFlagKey('keymgr-backends-0-name')).toBe('keymgr.backends.0.name');
    for (const flag of ['keymgr-backends-0-nam', 'keymgr-backends-x-name', 'keymgr-backends'])
      expect(numberedFlagKey(flag)).toBeUndefined();
  });
});
