import { expect, it } from '@jest/globals';
import { closingTable, type StartReport } from './closing-table.ts';

const REPORT: StartReport = {
  publicUrl: 'https://localhost:8443',
  listeners: { grpc: 9543, keyApi: 9443, admin: 9465, metrics: 9464 } as StartReport['listeners'],
  metricsAddress: '127.0.0.1',
  statusUrl: 'http://localhost:8080',
  dataDir: '/var/lib/gigvault',
  logFile: '/var/lib/gigvault/logs/gigvault.log',
  rootCertificate: '/var/lib/gigvault/root/root.crt',
  hasRootKey: false,
  setupToken: undefined,
  environment: 'development',
  newKeys: 'pkcs8',
};

it.each([
  ['pkcs8', 'software keys'],
  ['pkcs11', 'new keys in a token'],
  ['tpm2', 'new keys in a TPM'],
  ['aws-kms', 'new keys in AWS KMS'],
] as const)('a start whose new keys are in %s ends with: %s', (newKeys, keys) => {
  const profiles = {
    development: `DEV PROFILE: ${keys}, one node`,
    production: `PRODUCTION PROFILE: ${keys}`,
  };
  for (const environment of ['development', 'production'] as const)
    expect(closingTable({ ...REPORT, environment, newKeys })).toContain(
      `${profiles[environment]}, one process.`,
    );
});

it('in production nobody is told to ask for a name that is refused there', () => {
  const tries = (environment: StartReport['environment']) =>
    /Try: .*/.exec(closingTable({ ...REPORT, environment }))?.[0];
  expect(tries('development')).toBe('Try:   npx gigvault cert create api.localhost');
  expect(tries('production')).toBe('Try:   npx gigvault status');
});
