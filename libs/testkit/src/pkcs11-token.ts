import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOrFail } from './run-program.ts';

/** A PKCS #11 token for tests. */
export interface TestToken {
  /** Names the token, the library and the PIN file (RFC 7512). */
  readonly uri: string;
  readonly modulePath: string;
  readonly pinFile: string;
  /** What the library reads. */
  readonly environment: Readonly<Record<string, string>>;
  /** Everything of this token; it may be moved away. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** The PIN of every test token. */
export const TEST_PIN = '480391';
const SO_PIN = '92051738';
const SOFTHSM = '/usr/lib/softhsm/libsofthsm2.so';

/** A fresh SoftHSM 2 token in a folder of its own. Needs Debian's `softhsm2` (scripts/test-deps.sh). */
export async function softHsmToken(label = 'gigvault'): Promise<TestToken> {
  const root = await mkdtemp(join(tmpdir(), 'gigvault-softhsm-'));
  const folder = join(root, 'tokens');
  await mkdir(folder);
  const configuration = join(root, 'softhsm2.conf');
  const settings = `directories.tokendir = ${folder}\nobjectstore.backend = file\nlog.level = ERROR\n`;
  await writeFile(configuration, settings);
  const environment = { SOFTHSM2_CONF: configuration };
  const args = ['--init-token', '--free', '--label', label, '--pin', TEST_PIN, '--so-pin', SO_PIN];
  await runOrFail('softhsm2-util', args, { env: { ...process.env, ...environment } });
  return { ...(await described(root, label, SOFTHSM)), environment, folder };
}

/** What every token has. */
export async function described(
  root: string,
  label: string,
  modulePath: string,
): Promise<Pick<TestToken, 'uri' | 'modulePath' | 'pinFile' | 'remove'>> {
  if (!existsSync(modulePath))
    throw new Error(`${modulePath} is missing: see scripts/test-deps.sh`);
  const pinFile = join(root, 'pin');
  await writeFile(pinFile, `${TEST_PIN}\n`, { mode: 0o600 });
  return {
    uri: `pkcs11:token=${label}?module-path=${modulePath}&pin-source=file:${pinFile}`,
    modulePath,
    pinFile,
    remove: () => rm(root, { recursive: true, force: true }),
  };
}
