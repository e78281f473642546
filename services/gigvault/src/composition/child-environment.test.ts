import { expect, it } from '@jest/globals';
import { childEnvironment } from './child-environment.ts';

const EVERYBODY = {
  PATH: '/usr/bin',
  LC_ALL: 'C',
  NODE_OPTIONS: '--max-old-space-size=512',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318',
};
const VENDOR = { SOFTHSM2_CONF: '/etc/softhsm2.conf' };
const OF_AWS = { AWS_REGION: 'eu-central-1', AWS_SECRET_ACCESS_KEY: 'CANARY5' };
const ENVIRONMENT = {
  ...EVERYBODY,
  ...VENDOR,
  ...OF_AWS,
  GIGVAULT_HTTPS_PORT: '8443',
  GIGVAULT_HSM_PIN: 'CANARY1',
  KEYCHAIN_BACKENDS_0_PIN: 'CANARY2',
  KEYCHAIN_SERVER_LOG_LEVEL: 'info',
  SPARE_PIN: 'CANARY3',
  VAULT_TOKEN: 'CANARY4',
  NODE_AUTH_TOKEN: 'CANARY6',
};
const token = (pinSource: string) => ({
  type: 'pkcs11',
  uri: `pkcs11:token=a?module-path=/lib.so&pin-source=${pinSource}`,
});

it('a process has the secrets that its own configuration refers to, whatever they are called — covers: X12, T66', () => {
  const backends = {
    hsm: token('env://GIGVAULT_HSM_PIN'),
    old: { type: 'tpm2', pin: 'env://KEYCHAIN_BACKENDS_0_PIN' },
  };
  const secrets = { vault: { token: 'env://VAULT_TOKEN' } };
  expect(childEnvironment(ENVIRONMENT, { secrets, service: { backends } })).toEqual({
    ...EVERYBODY,
    ...VENDOR,
    GIGVAULT_HSM_PIN: 'CANARY1',
    KEYCHAIN_BACKENDS_0_PIN: 'CANARY2',
    VAULT_TOKEN: 'CANARY4',
  });
});

it('also of a place that is percent-encoded in a PKCS #11 URI — covers: X12, T66', () => {
  const backends = { hsm: token('env%3A%2F%2FSPARE%5FPIN') };
  expect(childEnvironment(ENVIRONMENT, { service: { backends } })).toEqual({
    ...EVERYBODY,
    ...VENDOR,
    SPARE_PIN: 'CANARY3',
  });
});

it("and none of the others, nor what configures the main process, the library of a token or AWS's client — covers: T66", () => {
  expect(childEnvironment(ENVIRONMENT, {})).toEqual(EVERYBODY);
});

it.each([
  ['keys in AWS KMS', { service: { backends: { cloud: { type: 'aws-kms' } } } }],
  ['a secret in AWS Secrets Manager', { service: { masterKey: 'aws-sm://gigvault/master' } }],
])('%s bring the variables of AWS — covers: T66', (_what, config) => {
  expect(childEnvironment(ENVIRONMENT, config)).toEqual({ ...EVERYBODY, ...OF_AWS });
});
