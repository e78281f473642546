import { createHash, hash } from 'node:crypto';
import { createReadStream, existsSync, readdirSync, readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Room } from '../ports/room.ts';
import { VERSION } from '../version.ts';

/** The machine that this process runs on. `program` is the file that was started. */
export function machineRoom(program: string): Room {
  return {
    async look() {
      const networkUp = interfacesUp();
      const known = new Set(networkUp);
      return {
        entropyBits: entropyBits(),
        networkUp,
        networkDown: interfaces().filter((name) => !known.has(name)),
        swap: swap(),
        program: { version: VERSION, sha256: await programHash(program) },
        node: { version: process.version, sha256: await fileHash(process.execPath) },
      };
    },
  };
}

/**
 * SHA-256 of what `sha256sum` says of the program's files, sorted by name: for the built program
 * `cd dist && LC_ALL=C sha256sum chunks/*.js pkcs11-driver.js rootca.js | sha256sum`. From source it is the package's sources.
 * What lies in node_modules beside it (the addon that loads a token's library, too) is not in it: the sum of the whole folder is for that.
 */
export async function programHash(program: string): Promise<string> {
  const folder = dirname(program);
  const files =
    basename(program) === 'rootca.js' ? builtFiles(folder) : filesBelow(folder, /(?<!\.test)\.ts$/);
  const lines: string[] = [];
  for (const file of files.sort()) {
    lines.push(`${await fileHash(join(folder, file))}  ${file}\n`);
  }
  return hash('sha256', lines.join(''));
}

function builtFiles(folder: string): string[] {
  const chunks = filesBelow(join(folder, 'chunks'), /\.js$/).map((name) => join('chunks', name));
  return [...chunks, 'pkcs11-driver.js', 'rootca.js'];
}

function filesBelow(folder: string, wanted: RegExp): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && wanted.test(entry.name))
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

/** Node has 120 MB: large parts need few turns of the event loop. */
const PART = 4 * 1024 * 1024;

async function fileHash(path: string): Promise<string> {
  const sum = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: PART }), sum);
  return sum.digest('hex');
}

function entropyBits(): number | undefined {
  const text = procFile('/proc/sys/kernel/random/entropy_avail');
  return text === undefined ? undefined : Number(text);
}

/** IFF_UP (netdevice(7)). */
const UP = 1;

/** Switched on, with or without an address. Where there is no Linux: with an address. */
function interfacesUp(): string[] {
  const names = interfaces();
  if (names.length > 0) return names.filter((name) => isUp(name));
  return Object.entries(networkInterfaces())
    .filter(([, addresses]) => addresses?.some(({ internal }) => !internal))
    .map(([name]) => name);
}

function isUp(name: string): boolean {
  const flags = procFile(`/sys/class/net/${name}/flags`);
  // One that went away since the kernel listed it is up until somebody looks again.
  return flags === undefined || (Number(flags) & UP) !== 0;
}

/** All that the kernel has, but for loopback; two lines of headings come first (proc_net(5)). */
function interfaces(): string[] {
  const lines = procFile('/proc/net/dev')?.split('\n').slice(2) ?? [];
  const names = lines.map((line) => line.split(':', 1)[0]?.trim() ?? '');
  return names.filter((name) => name !== '' && name !== 'lo');
}

function swap(): string[] {
  const lines = procFile('/proc/swaps')?.split('\n').slice(1) ?? [];
  return lines.map((line) => line.split(/\s+/, 1)[0] ?? '').filter((name) => name !== '');
}

/** Undefined where there is no Linux. */
function procFile(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}
