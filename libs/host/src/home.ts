import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type PeerTable, readPeerTable } from '@gigvault/rpc/peers';

/** The installation's folder: the one that holds deploy/peers.yaml, above the program. */
export function installationRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'deploy', 'peers.yaml'))) {
    const parent = dirname(folder);
    if (parent === folder)
      throw new Error('deploy/peers.yaml is not in any folder above the program');
    folder = parent;
  }
  return folder;
}

/** deploy/peers.yaml of this installation. */
export function installedPeerTable(): PeerTable {
  return readPeerTable(readFileSync(join(installationRoot(), 'deploy', 'peers.yaml'), 'utf8'));
}

/** The installation's version. */
export function installedVersion(): string {
  const manifest = JSON.parse(readFileSync(join(installationRoot(), 'package.json'), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}

/** The commit that the installation was built from, from its Git folder; `unknown` without one. */
export function installedCommit(): string {
  const git = join(installationRoot(), '.git');
  try {
    const head = readFileSync(join(git, 'HEAD'), 'utf8').trim();
    if (!head.startsWith('ref: ')) return head.slice(0, 12);
    return readFileSync(join(git, head.slice(5)), 'utf8').slice(0, 12);
  } catch {
    // Installed from a package, or the branch is packed: the version says enough.
    return 'unknown';
  }
}
