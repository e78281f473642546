import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { checkPki, connect } from '@gigvault/testkit/check-pki';
import { type PkiProcess, preparePki } from '@gigvault/testkit/pki-process';
import { runOrFail } from '@gigvault/testkit/run-program';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import { TEST_PIN, type TestToken } from '@gigvault/testkit/test-token';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { privateKeyFiles } from './private-key-files.ts';
import { START_TIMEOUT } from './use-pki.ts';

const LIBRARY = '/usr/lib/softhsm/libsofthsm2.so';
/** Exit code. */
const PENDING = 8;

/** Each has a store of its own: what is in one, the other's library does not see. */
const [online, offline] = await Promise.all([
  softHsmToken({ label: 'pki' }),
  softHsmToken({ label: 'root' }),
]);
// The PKI's processes take it from here.
Object.assign(process.env, online.environment);
afterAll(() => Promise.all([online.remove(), offline.remove()]));

describe('all keys in a token, and the root of an offline machine in a second one — covers: G6, G23, G91', () => {
  let pki: PkiProcess;
  let usb: string;

  beforeAll(async () => {
    pki = await preparePki('one process');
    usb = join(pki.home, 'usb');
  }, START_TIMEOUT);
  afterAll(() => pki?.dispose(), START_TIMEOUT);

  const up = ['--hsm', online.uri];
  const at = (file: string) => join(usb, file);
  /** On the offline machine. */
  const rootca = async (...args: string[]) => {
    const env = { ...process.env, ...offline.environment };
    const { code, stdout, stderr } = await pki.cliOf('offline', ['rootca', ...args], { env });
    expect([args[0], code, stderr]).toEqual([args[0], 0, expect.any(String)]);
    return stdout;
  };

  it(
    'up asks for the root: its own keys are in its token by then',
    async () => {
      const { code, stdout } = await pki.tryStart(...up, '--offline-root', usb);
      expect(code).toBe(PENDING);
      expect(stdout).toContain('the keys of the CAs stay in the token.');
      expect(existsSync(at('issuing.csr'))).toBe(true);
      expect(await privateKeysIn(online)).toHaveLength(2);
    },
    START_TIMEOUT,
  );

  it(
    'rootca makes the root in the second token, and signs for the keys of the first',
    async () => {
      const root = join(pki.home, 'offline', 'root');
      const plan = ['--plan', at('plan.yaml'), '--out', root];
      const shown = await rootca('create', ...plan, '--hsm', offline.uri);
      expect(shown).not.toMatch(/passphrase/i);
      for (const kind of ['issuing', 'services']) {
        const files = ['--csr', at(`${kind}.csr`), '--out', join(root, `${kind}.crt`)];
        await rootca('sign', '--root', root, '--kind', kind, ...files);
      }
      expect(await privateKeysIn(offline)).toHaveLength(1);
      expect(privateKeyFiles(join(pki.home, 'offline'))).toEqual([]);
      for (const file of ['root.crt', 'issuing.crt', 'services.crt', 'root.crl'])
        copyFileSync(join(root, file), at(file));
    },
    START_TIMEOUT,
  );

  it(
    'up takes it, and issues what openssl follows up to that root',
    async () => {
      const before = await privateKeysIn(offline);
      await pki.start(...up, '--offline-root', usb);
      expect((await pki.cli('cert', 'create', 'api.localhost')).code).toBe(0);
      const leaf = join(pki.home, 'api.localhost.crt');
      const root = ['-CAfile', at('root.crt')];
      const strict = ['verify', '-x509_strict', '-purpose', 'sslserver', ...root];
      expect(await runOrFail('openssl', [...strict, '-untrusted', leaf, leaf])).toContain(': OK');
      await runOrFail('openssl', ['crl', '-in', at('root.crl'), ...root, '-noout', '-verify']);

      expect(await backendsOf(pki)).toEqual(['hsm']);
      expect(privateKeyFiles(pki.dataDir).filter((file) => !/^tls\//.test(file))).toEqual([]);
      expect(await privateKeysIn(offline)).toEqual(before);
      expect((await checkPki(pki)).findings).toEqual([]);
    },
    START_TIMEOUT,
  );
});

/** Labels of the private keys that a token holds, as pkcs11-tool lists them. */
async function privateKeysIn({ environment }: TestToken): Promise<string[]> {
  const login = ['--module', LIBRARY, '--login', '--pin', TEST_PIN];
  const listed = await runOrFail('pkcs11-tool', [...login, '--list-objects', '--type', 'privkey'], {
    env: { ...process.env, ...environment },
  });
  return [...listed.matchAll(/label: +(\S+)/g)].map(([, label]) => label as string);
}

/** Where the keys are that the database knows. */
async function backendsOf(pki: PkiProcess): Promise<string[]> {
  const database = await connect(pki);
  try {
    const { rows } = await database.query<{ backend: string }>(
      'SELECT DISTINCT backend FROM keymgr.key',
    );
    return rows.map(({ backend }) => backend);
  } finally {
    await database.end();
  }
}
