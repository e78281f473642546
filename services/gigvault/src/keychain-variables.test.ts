import { readConfig } from '@gigvault/config/load-config';
import type { GigvaultError } from '@gigvault/errors/gigvault-error';
import { expect, it } from '@jest/globals';
import { gigvaultConfig } from './gigvault.config.ts';
import { translateKeychainVariables } from './keychain-variables.ts';

const SAMPLE = {
  KEYCHAIN_SERVER_DATA_DIR: '/var/lib/keychain',
  KEYCHAIN_SERVER_LOG_LEVEL: 'warn',
  KEYCHAIN_SERVER_LOG_FORMAT: 'json',
  KEYCHAIN_REST_ENABLED: 'true',
  KEYCHAIN_REST_ADDRESS: '192.0.2.1:8444',
  KEYCHAIN_REST_TLS_ENABLED: 'true',
  KEYCHAIN_GRPC_ENABLED: 'true',
  KEYCHAIN_GRPC_ADDRESS: ':9444',
  KEYCHAIN_MCP_ENABLED: 'false',
  KEYCHAIN_QUIC_ENABLED: 'false',
  KEYCHAIN_AUTH_ENABLED: 'true',
  KEYCHAIN_AUTH_TYPE: 'api_key',
  KEYCHAIN_TLS_MIN_VERSION: '1.2',
  KEYCHAIN_METRICS_ENABLED: 'true',
  KEYCHAIN_METRICS_ADDRESS: '[::1]:9090',
  KEYCHAIN_METRICS_PATH: '/metrics',
  KEYCHAIN_BACKENDS_0_NAME: 'pkcs8',
  KEYCHAIN_BACKENDS_0_TYPE: 'pkcs8',
  KEYCHAIN_BACKENDS_0_KEY_DIR: '/var/lib/keychain/keys',
  KEYCHAIN_BACKENDS_1_NAME: 'hsm',
  KEYCHAIN_BACKENDS_1_TYPE: 'pkcs11',
  KEYCHAIN_BACKENDS_1_LIBRARY: '/usr/lib/softhsm/libsofthsm2.so',
  KEYCHAIN_BACKENDS_1_SLOT_ID: '3',
  KEYCHAIN_BACKENDS_1_PIN: 'CANARY1',
  // Of Kubernetes, beside a service that is called keychain.
  KEYCHAIN_PORT: 'tcp://10.0.0.1:8443',
  KEYCHAIN_SERVICE_HOST: '10.0.0.1',
};

function configOf(variables: Record<string, string>) {
  const { environment, origins } = translateKeychainVariables(variables);
  return readConfig(gigvaultConfig, { flags: {}, environment, origins });
}

const told = (problems: readonly { pointer: string; message: string }[]) =>
  problems.map(({ pointer, message }) => `${pointer}: ${message}`);

it('variables of go-keychain configure the same — covers: K132, K133, K134, K138, K139, K140, K141, K143, K144, K145, K146, K147', () => {
  const { refused, unknown } = translateKeychainVariables(SAMPLE);
  expect({ refused, unknown }).toEqual({ refused: [], unknown: [] });
  const { config, written, unknownVariables } = configOf(SAMPLE);
  expect(unknownVariables).toEqual([]);
  expect(config).toMatchObject({
    dataDir: '/var/lib/keychain',
    log: { level: 'warn' },
    host: '192.0.2.1',
    https: { port: 8444, tls: { minVersion: '1.2' } },
    grpc: { address: ':9444' },
    metrics: { address: '::1', port: 9090 },
    keymgr: { directory: '/var/lib/keychain/keys' },
  });
  expect(config.keymgr.backends).toEqual({
    hsm: {
      type: 'pkcs11',
      library: '/usr/lib/softhsm/libsofthsm2.so',
      slotId: 3,
      pin: 'env://KEYCHAIN_BACKENDS_1_PIN',
    },
  });
  expect(JSON.stringify(written)).not.toContain('CANARY1');
});

it('an address without a host is on the configured one', () => {
  const { config } = configOf({ KEYCHAIN_REST_ADDRESS: ':8444' });
  expect(config).toMatchObject({ host: 'localhost', https: { port: 8444 } });
});

it('gRPC can be off — covers: K134', () => {
  const { config } = configOf({ KEYCHAIN_GRPC_ADDRESS: ':9443', KEYCHAIN_GRPC_ENABLED: 'false' });
  expect(config.grpc.address).toBe('off');
});

it('the device of a TPM is taken over; its token is said in the words of GigVault — covers: K142', () => {
  const { environment } = translateKeychainVariables({
    KEYCHAIN_BACKENDS_0_NAME: 'tpm',
    KEYCHAIN_BACKENDS_0_TYPE: 'tpm2',
    KEYCHAIN_BACKENDS_0_DEVICE: '/dev/tpmrm1',
  });
  const more = {
    GIGVAULT_KEYMGR_BACKENDS_0_TOKEN: 'pki',
    GIGVAULT_KEYMGR_BACKENDS_0_PIN: 'env://PIN',
  };
  const { config } = readConfig(gigvaultConfig, {
    flags: {},
    environment: { ...environment, ...more },
  });
  expect(config.keymgr.backends['tpm']).toMatchObject({ device: '/dev/tpmrm1', token: 'pki' });
});

it.each<[string, string, string]>([
  ['AUTH_ENABLED', 'false', 'must be true: nobody uses keys without saying who they are'],
  [
    'AUTH_TYPE',
    'mtls',
    'must be api_key or jwt: both are always taken; for client certificates see https.clientCertificates',
  ],
  ['REST_TLS_ENABLED', 'false', 'must be true: there is no listener without TLS'],
  ['REST_ADDRESS', '8443', 'must be host:port or :port'],
  [
    'GRPC_TLS_CERT_FILE',
    '/x',
    'must be what KEYCHAIN_REST_TLS_CERT_FILE is: both have one certificate',
  ],
  ['MCP_ENABLED', 'true', 'must be false: MCP is not served'],
  ['QUIC_ENABLED', 'true', 'must be false: HTTP/3 is not served'],
  ['METRICS_PATH', '/m', 'must be /metrics: the path is fixed'],
])('KEYCHAIN_%s=%s is refused — covers: K135, K136, K137, K146', (name, value, message) => {
  const { refused } = translateKeychainVariables({ [`KEYCHAIN_${name}`]: value });
  expect(told(refused)).toEqual([`KEYCHAIN_${name}: ${message}`]);
});

it('what is never done is refused, with what to do and without its value — covers: K135, K136, K137, K138, T66', () => {
  const apiKeys =
    'API keys are never configured: leave it out, and make one with gigvault apikey create';
  const mcp = 'MCP is not served: leave it out, or say KEYCHAIN_MCP_ENABLED=false';
  const quic = 'HTTP/3 is not served: leave it out, or say KEYCHAIN_QUIC_ENABLED=false';
  const { refused, unknown, environment } = translateKeychainVariables({
    KEYCHAIN_AUTH_API_KEYS_0_KEY: 'CANARY1',
    KEYCHAIN_AUTH_API_KEYS_0_NAME: 'CANARY1',
    KEYCHAIN_TLS_CIPHERS: 'CANARY1',
    KEYCHAIN_MCP_ADDRESS: 'CANARY1',
    KEYCHAIN_MCP_TRANSPORT: 'CANARY1',
    KEYCHAIN_QUIC_ADDRESS: 'CANARY1',
    KEYCHAIN_QUIC_TLS_CERT_FILE: 'CANARY1',
    KEYCHAIN_QUIC_TLS_KEY_FILE: 'CANARY1',
  });
  expect({ unknown, environment }).toEqual({ unknown: [], environment: {} });
  expect(told(refused)).toEqual([
    `KEYCHAIN_AUTH_API_KEYS_0_KEY: ${apiKeys}`,
    `KEYCHAIN_AUTH_API_KEYS_0_NAME: ${apiKeys}`,
    'KEYCHAIN_TLS_CIPHERS: the ciphers are fixed, those with ECDHE and AEAD: leave it out; https.tls.minVersion says which versions of TLS are taken',
    `KEYCHAIN_MCP_ADDRESS: ${mcp}`,
    `KEYCHAIN_MCP_TRANSPORT: ${mcp}`,
    `KEYCHAIN_QUIC_ADDRESS: ${quic}`,
    `KEYCHAIN_QUIC_TLS_CERT_FILE: ${quic}`,
    `KEYCHAIN_QUIC_TLS_KEY_FILE: ${quic}`,
  ]);
});

it('where a listener would be says nothing while it is off — covers: K135, K136', () => {
  const { refused, unknown, environment } = translateKeychainVariables({
    KEYCHAIN_MCP_ENABLED: 'false',
    KEYCHAIN_MCP_ADDRESS: ':9444',
    KEYCHAIN_QUIC_ENABLED: 'false',
    KEYCHAIN_QUIC_ADDRESS: ':8444',
  });
  expect({ refused, unknown, environment }).toEqual({ refused: [], unknown: [], environment: {} });
});

it.each<[Record<string, string>, string]>([
  [
    { KEYCHAIN_REST_ADDRESS: ':99999' },
    'https.port: must be a whole number from 0 to 65535, not "99999" (KEYCHAIN_REST_ADDRESS)',
  ],
  [
    { KEYCHAIN_SERVER_LOG_LEVEL: 'loud' },
    'log.level: must be one of debug, info, warn, error, not "loud" (KEYCHAIN_SERVER_LOG_LEVEL)',
  ],
  [
    {
      KEYCHAIN_BACKENDS_1_NAME: 'hsm',
      KEYCHAIN_BACKENDS_1_TYPE: 'pkcs11',
      KEYCHAIN_BACKENDS_1_LIBRARY: '/lib/p11.so',
      KEYCHAIN_BACKENDS_1_PIN: 'CANARY1',
      KEYCHAIN_BACKENDS_1_SLOT_ID: '-3',
    },
    'keymgr.backends.hsm.slotId: must be a whole number from 0 up, not "-3" (KEYCHAIN_BACKENDS_1_SLOT_ID)',
  ],
  [
    { KEYCHAIN_BACKENDS_1_TYPE: 'memory' },
    'KEYCHAIN_BACKENDS_1_TYPE: belongs to a section without a name: keymgr.backends.1.name is missing',
  ],
])(
  'what is wrong with a value is told under the name that the operator wrote',
  (variables, message) => {
    try {
      configOf(variables);
      throw new Error('not refused');
    } catch (error) {
      expect(told((error as GigvaultError).problems)).toEqual([message]);
    }
  },
);

it('encrypted files have one name', () => {
  const { refused } = translateKeychainVariables({
    KEYCHAIN_BACKENDS_0_NAME: 'software',
    KEYCHAIN_BACKENDS_0_TYPE: 'pkcs8',
  });
  expect(told(refused)).toEqual([
    'KEYCHAIN_BACKENDS_0_NAME: must be pkcs8: the backend of encrypted files has this name',
  ]);
});

it('what means nothing is told with what was meant, and without its value — covers: T66', () => {
  const { unknown, environment } = translateKeychainVariables({
    KEYCHAIN_SERVER_LOGLEVEL: 'CANARY1',
    KEYCHAIN_BACKENDS_0_TYPE: 'pkcs8',
    KEYCHAIN_BACKENDS_0_KEYDIR: 'CANARY1',
    KEYCHAIN_BACKENDS_0_CERT_DIR: 'CANARY1',
    KEYCHAIN_BACKENDS_0_PIN: 'CANARY1',
  });
  expect(told(unknown)).toEqual([
    'KEYCHAIN_SERVER_LOGLEVEL: means nothing; did you mean KEYCHAIN_SERVER_LOG_LEVEL?',
    'KEYCHAIN_BACKENDS_0_KEYDIR: means nothing; did you mean KEYCHAIN_BACKENDS_0_KEY_DIR?',
    'KEYCHAIN_BACKENDS_0_CERT_DIR: means nothing; did you mean KEYCHAIN_BACKENDS_0_KEY_DIR?',
    'KEYCHAIN_BACKENDS_0_PIN: means nothing',
  ]);
  expect(environment).toEqual({});
});
