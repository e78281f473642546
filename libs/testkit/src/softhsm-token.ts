import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOrFail } from './run-program.ts';
import { TEST_PIN, TEST_SO_PIN, type TestToken, tokenUri } from './test-token.ts';

const LIBRARY = '/usr/lib/softhsm/libsofthsm2.so';

/** How it differs from others. */
export interface SoftHsmOptions {
  readonly label?: string;
  /** One that wraps SoftHSM's, for tests of faults. */
  readonly library?: string;
  /** Default: TEST_PIN. */
  readonly pin?: string;
}

/** A fresh SoftHSM 2 token in a folder of its own. */
export async function softHsmToken(options: SoftHsmOptions = {}): Promise<TestToken> {
  const { label = 'gigvault', library = LIBRARY, pin } = options;
  const root = await mkdtemp(join(tmpdir(), 'gigvault-softhsm-'));
  const folder = join(root, 'tokens');
  await mkdir(folder);
  const configuration = join(root, 'softhsm2.conf');
  await writeFile(
    configuration,
    `directories.tokendir = ${folder}\nobjectstore.backend = file\nlog.level = ERROR\n`,
  );
  const token = {
    ...(await tokenUri(root, label, library)),
    environment: { SOFTHSM2_CONF: configuration },
    folder,
    remove: () => rm(root, { recursive: true, force: true }),
  };
  await addSoftHsmToken(token, label, pin);
  return token;
}

/** Initialises one more token beside the first. */
export async function addSoftHsmToken(
  { environment }: TestToken,
  label: string,
  pin = TEST_PIN,
): Promise<void> {
  const pins = ['--pin', pin, '--so-pin', TEST_SO_PIN];
  await runOrFail('softhsm2-util', ['--init-token', '--free', '--label', label, ...pins], {
    env: { ...process.env, ...environment },
  });
}

/** Puts a fresh token of this label, with TEST_PIN, in the place of the first. Resolves with what puts that one back. */
export async function replaceSoftHsmToken(
  token: TestToken,
  label: string,
): Promise<() => Promise<void>> {
  const { folder } = token;
  const aside = `${folder}.real`;
  await rename(folder, aside);
  await mkdir(folder);
  await addSoftHsmToken(token, label);
  return async () => {
    await rm(folder, { recursive: true });
    await rename(aside, folder);
  };
}
