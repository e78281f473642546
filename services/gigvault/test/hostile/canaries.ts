import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { runProgram } from '@gigvault/testkit/run-program';
import type { Client } from 'pg';

/** Secrets by what they are: texts, and octets that are no text. */
export type Canaries = ReadonlyMap<string, string | Buffer>;

/** The shortest text that is looked for: shorter ones could be there by chance. */
const SHORTEST = 16;

/** Where any of the secrets stands in these octets, in any of the forms that programs write them in. */
export function secretsIn(octets: Buffer, canaries: Canaries): string[] {
  return [...canaries]
    .filter(([, secret]) => [secret, ...formsOf(secret)].some((form) => octets.includes(form)))
    .map(([name]) => name);
}

/**
 * As `<file>: <secret>`: every secret in a file, or in one below a folder, that is not one of its homes.
 *
 * @param homes paths below the folder
 */
export async function secretsInFiles(
  path: string,
  canaries: Canaries,
  homes: (path: string) => boolean = () => false,
): Promise<string[]> {
  const names = new Map(
    [...canaries].flatMap(([name, secret]) => formsOf(secret).map((form) => [form, name] as const)),
  );
  // A hundred megabytes for some hundred texts: one pass instead of hundreds.
  const { stdout, stderr, code } = await runProgram('grep', ['-raoHFf', '-', '--', path], {
    input: [...names.keys()].join('\n'),
    env: { ...process.env, LC_ALL: 'C' },
  });
  // Files come and go under a running database.
  const failures = stderr.split('\n').filter((line) => !/No such file|^$/.test(line));
  if (code > 2 || failures.length > 0) throw new Error(`grep failed: ${stderr}`);
  const found = stdout.split('\n').flatMap((line) => {
    const colon = line.lastIndexOf(':');
    const file = relative(path, line.slice(0, colon));
    return colon < 0 || homes(file) ? [] : [`${file}: ${names.get(line.slice(colon + 1))}`];
  });
  return [...new Set([...found, ...octetsInFiles(path, canaries, homes)])];
}

/** What grep cannot look for: a pattern has no line end. */
function octetsInFiles(
  path: string,
  canaries: Canaries,
  homes: (path: string) => boolean,
): string[] {
  const octets = [...canaries].filter(([, secret]) => typeof secret !== 'string');
  const files = statSync(path).isDirectory()
    ? readdirSync(path, { recursive: true, encoding: 'utf8' })
    : [''];
  return files.flatMap((file) => {
    const content = homes(file) ? undefined : contentOf(join(path, file));
    const found = octets.filter(([, secret]) => content?.includes(secret));
    return found.map(([name]) => `${file}: ${name}`);
  });
}

/** Undefined for what is no file, or is gone meanwhile. */
function contentOf(path: string): Buffer | undefined {
  const stats = statSync(path, { throwIfNoEntry: false });
  try {
    return stats?.isFile() ? readFileSync(path) : undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** As `<table>: <secret>`, over every row of every table: what a dump of the database would hold. */
export async function secretsInDatabase(database: Client, canaries: Canaries): Promise<string[]> {
  const { rows: tables } = await database.query<{ name: string }>(
    `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
      WHERE schemaname NOT IN ('pg_catalog', 'information_schema')`,
  );
  const found: string[] = [];
  for (const { name } of tables) {
    const { rows } = await database.query<{ text: string }>(`SELECT t::text FROM ${name} AS t`);
    const all = Buffer.from(rows.map(({ text }) => text).join('\n'));
    found.push(...secretsIn(all, canaries).map((secret) => `${name}: ${secret}`));
  }
  return found;
}

/** The lines of a PEM file that stand for its content alone: any of them in another place is a leak. */
export function pemCanary(pem: string): string {
  const [, , line = ''] = pem.split('\n');
  return line;
}

/** Texts, also of octets. */
function formsOf(secret: string | Buffer): string[] {
  if (secret.length < SHORTEST) throw new Error('a secret that is too short to look for');
  const octets = Buffer.from(secret);
  // Base64 inside of a longer text begins at any of three places; its ends depend on the neighbours.
  const inBase64 = [0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), octets])
      .toString('base64')
      .slice(4, -4),
  );
  const hex = octets.toString('hex');
  return [
    ...new Set([
      ...(typeof secret === 'string' ? [secret, encodeURIComponent(secret)] : []),
      hex,
      hex.toUpperCase(),
      ...inBase64,
      ...inBase64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    ]),
  ];
}
