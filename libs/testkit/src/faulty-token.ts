import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { REPOSITORY } from './pki-process.ts';
import { runOrFail } from './run-program.ts';
import { softHsmToken } from './softhsm-token.ts';
import type { TestToken } from './test-token.ts';

const SOURCE = join(REPOSITORY, 'libs', 'testkit', 'src', 'faulty-token.c');
const KEYSTORE = createRequire(join(REPOSITORY, 'libs', 'keystore', 'package.json'));

/** SoftHSM behind a library that fails when it is told to: faulty-token.c. */
export interface FaultyToken extends TestToken {
  /** @param what `wrong`, `hang`, `crash`, `logout` or a CK_RV, as `0x30`; always: until it is mended */
  fail(name: string, what: string, always?: 'always'): Promise<void>;
  mend(): Promise<void>;
  /** How often somebody tried to log in. */
  logins(): Promise<number>;
}

/** Builds the library with the machine's compiler, and makes a token. */
export async function faultyToken(label?: string): Promise<FaultyToken> {
  const root = await mkdtemp(join(tmpdir(), 'gigvault-faulty-'));
  const [library, faults] = [join(root, 'faulty.so'), join(root, 'faults')];
  const includes = join(dirname(KEYSTORE.resolve('pkcs11js')), 'includes', 'pkcs11');
  // A driver sees no variable that its vendor does not know.
  const options = ['-shared', '-fPIC', `-DFAULTS="${faults}"`, '-I', includes];
  await runOrFail('cc', [...options, '-o', library, SOURCE]);
  const mend = async () => {
    await rm(faults, { recursive: true, force: true });
    await mkdir(faults);
  };
  await mend();
  const token = await softHsmToken({ library, ...(label === undefined ? {} : { label }) });
  return {
    ...token,
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
