import { createPrivateKey } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** As the encrypted files of keymgr are named; drafts of them have more behind it. */
const KEY_FILE = /\.(p8|jwe)(\.|$)/;
/** An encrypted one needs a passphrase, which says that it is one. */
const NO_PASSPHRASE = 'ERR_MISSING_PASSPHRASE';

/** Files that hold a private key or a secret one, in the clear or not, below the data directory; not the database's. Names relative to it. */
export function privateKeyFiles(dataDir: string): string[] {
  return readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('pg/') && statSync(join(dataDir, name)).isFile())
    .filter((name) => KEY_FILE.test(name) || holdsKey(readFileSync(join(dataDir, name))));
}

function holdsKey(octets: Buffer): boolean {
  return octets.includes('PRIVATE KEY') || (['pkcs8', 'sec1', 'pkcs1'] as const).some(isDer);

  function isDer(type: 'pkcs8' | 'sec1' | 'pkcs1'): boolean {
    try {
      createPrivateKey({ key: octets, format: 'der', type });
      return true;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === NO_PASSPHRASE;
    }
  }
}
