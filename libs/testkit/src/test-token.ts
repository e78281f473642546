import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A PKCS #11 token of a test. */
export interface TestToken {
  /** Names the token, the library and the PIN file (RFC 7512). */
  readonly uri: string;
  readonly pinFile: string;
  /** What the library reads. */
  readonly environment: Readonly<Record<string, string>>;
  /** Everything that the library keeps. */
  readonly folder: string;
  remove(): Promise<void>;
}

/** The PIN of every test token. */
export const TEST_PIN = '480391';
/** The PIN of its security officer. */
export const TEST_SO_PIN = '92051738';

/** Writes the PIN file, and says how to reach the token. Errors: a library that is not installed. */
export async function tokenUri(
  root: string,
  label: string,
  modulePath: string,
): Promise<Pick<TestToken, 'uri' | 'pinFile'>> {
  if (!existsSync(modulePath)) {
    throw new Error(`${modulePath} is missing: see scripts/test-deps.sh`);
  }
  const pinFile = join(root, 'pin');
  await writeFile(pinFile, `${TEST_PIN}\n`, { mode: 0o600 });
  return {
    pinFile,
    uri: `pkcs11:token=${label}?module-path=${modulePath}&pin-source=file:${pinFile}`,
  };
}
