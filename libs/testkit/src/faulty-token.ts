import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runOrFail } from '@gigvault/testkit/run-program';
import { softHsmToken } from '@gigvault/testkit/softhsm-token';
import type { TestToken } from '@gigvault/testkit/test-token';

/** SoftHSM behind a library that fails when it is told to: faulty-token.c. */
export interface FaultyToken extends TestToken {
  /** @param what `wrong`, `hang`, `crash` or a CK_RV, as `0x30`; always: until it is mended */
  fail(name: string, what: string, always?: 'always'): Promise<void>;
  mend(): Promise<void>;
  /** How often somebody tried to log in. */
  logins(): Promise<number>;
}

/** Builds the library with the machine's compiler, and makes a token. */
export async function faultyToken(): Promise<FaultyToken> {
  const root = await mkdtemp(join(tmpdir(), 'gigvault-faulty-'));
  const [library, faults] = [join(root, 'faulty.so'), join(root, 'faults')];
  const pkcs11js = dirname(createRequire(import.meta.url).resolve('pkcs11js'));
  const source = fileURLToPath(new URL('./faulty-token.c', import.meta.url));
  const includes = join(pkcs11js, 'includes/pkcs11');
  await runOrFail('cc', ['-shared', '-fPIC', '-I', includes, '-o', library, source]);
  const mend = async () => {
    await rm(faults, { recursive: true, force: true });
    await mkdir(faults);
  };
  await mend();
  const token = await softHsmToken({ library });
  return {
    ...token,
    environment: { ...token.environment, FAULTS: faults },
    fail: (name, what, always) =>
      writeFile(join(faults, always === undefined ? name : `${name}.${always}`), what),
    mend,
    logins: async () => (await readFile(join(faults, 'logins'), 'utf8')).length,
    async remove() {
      await token.remove();
      await rm(root, { recursive: true });
    },
  };
}
