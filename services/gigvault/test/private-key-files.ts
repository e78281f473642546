import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { holdsPrivateKey } from '@gigvault/rootca/ceremony/private-key-files';

/** As the encrypted files of keymgr are named; drafts of them have more behind it. */
const KEY_FILE = /\.(p8|jwe)(\.|$)/;

/** Files that hold a private key or a secret one, in the clear or not, below the data directory; not the database's. Names relative to it. */
export function privateKeyFiles(dataDir: string): string[] {
  return readdirSync(dataDir, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.startsWith('pg/') && statSync(join(dataDir, name)).isFile())
    .filter((name) => KEY_FILE.test(name) || holdsPrivateKey(readFileSync(join(dataDir, name))));
}
