import { expect, it } from '@jest/globals';
import { childEnvironment } from './child-environment.ts';

const ENVIRONMENT = {
  PATH: '/usr/bin',
  GIGVAULT_HTTPS_PORT: '8443',
  GIGVAULT_HSM_PIN: 'CANARY1',
  KEYCHAIN_BACKENDS_0_PIN: 'CANARY2',
  KEYCHAIN_SERVER_LOG_LEVEL: 'info',
  SPARE_PIN: 'CANARY3',
  VAULT_TOKEN: 'CANARY4',
};
const SHARED = 'secrets: { vault: { token: env://VAULT_TOKEN } }';
const KEYMGR = `${SHARED}
service:
  backends:
    hsm: { uri: "pkcs11:token=a?module-path=/lib.so&pin-source=env://GIGVAULT_HSM_PIN" }
    old: { pin: env://KEYCHAIN_BACKENDS_0_PIN }
    spare: { pin: env://SPARE_PIN }`;

it('a process has the secrets that its own file refers to, whatever they are called — covers: X12, T66', () => {
  expect(childEnvironment(ENVIRONMENT, KEYMGR, [KEYMGR, SHARED])).toEqual({
    PATH: '/usr/bin',
    GIGVAULT_HSM_PIN: 'CANARY1',
    KEYCHAIN_BACKENDS_0_PIN: 'CANARY2',
    SPARE_PIN: 'CANARY3',
    VAULT_TOKEN: 'CANARY4',
  });
});

it('and none of the others, nor what configures the main process', () => {
  expect(childEnvironment(ENVIRONMENT, SHARED, [KEYMGR, SHARED])).toEqual({
    PATH: '/usr/bin',
    VAULT_TOKEN: 'CANARY4',
  });
});
