import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Finding, readTree, type Tree } from './tree.ts';

/** Files below proto/ that scripts/generate-proto.sh would change: its steps run on a copy. */
export function staleContracts(root: string, tree: Tree): Finding[] {
  const copy = mkdtempSync(join(tmpdir(), 'gv-proto-'));
  try {
    for (const folder of ['proto', 'scripts'])
      cpSync(join(root, folder), join(copy, folder), {
        recursive: true,
        filter: (path) => !path.endsWith('node_modules'),
      });
    symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
    execFileSync('sh', ['scripts/generate-proto.sh'], {
      cwd: copy,
      env: { ...process.env, PATH: `${join(root, 'node_modules', '.bin')}:${process.env['PATH']}` },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const made = new Map(readTree(join(copy, 'proto')).files.map((f) => [`proto/${f.path}`, f]));
    const checkedIn = new Map(
      tree.files.filter((file) => file.path.startsWith('proto/')).map((file) => [file.path, file]),
    );
    return [...new Set([...made.keys(), ...checkedIn.keys()])]
      .filter(
        (path) => !checkedIn.get(path)?.bytes.equals(made.get(path)?.bytes ?? Buffer.alloc(0)),
      )
      .map((path) => ({ path, line: 1, message: 'differs: run `npm run proto`' }));
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
