import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { get } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installationRoot } from '@gigvault/host/home';
import { eventually } from '@gigvault/testkit/eventually';

/** Somebody else's server, running. */
export interface Peer {
  /** With its version. */
  readonly name: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** A peer that speaks ACME. */
export interface AcmePeer extends Peer {
  readonly directory: string;
  /** Where its http-01 validations arrive. */
  readonly http01Port: number;
}

/** What a peer is made of. */
export interface PeerProgram {
  /** In .build/peers. */
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Answers 200 once it serves. */
  readonly readyUrl: string;
  /** Its files; removed at the end. */
  readonly folder: string;
}

/** A folder for a peer's files. */
export function peerFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `gv-peer-${name}-`));
}

/** Starts a peer and waits until it serves. Rejects with what it said when it does not. */
export async function startPeer(peer: PeerProgram): Promise<Peer> {
  const file = join(installationRoot(), '.build/peers', peer.program);
  const child = spawn(file, peer.args, {
    cwd: peer.folder,
    env: { PATH: process.env['PATH'], HOME: peer.folder, ...peer.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (text: Buffer) => {
      said = (said + text.toString()).slice(-2_000);
    });
  const stop = async () => {
    await end(child);
    rmSync(peer.folder, { recursive: true, force: true });
  };
  try {
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error('it ended');
      await answersWell(peer.readyUrl);
    });
  } catch (error) {
    await stop();
    throw new Error(`${peer.program} does not serve: ${said}`, { cause: error });
  }
  return { name: `${peer.program} ${versionOf(file)}`, pid: child.pid as number, stop };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

function answersWell(url: string): Promise<void> {
  return new Promise((resolve, reject) => {
    get(url, { rejectUnauthorized: false, headers: { 'user-agent': 'bench' } }, (response) => {
      response.resume();
      if (response.statusCode === 200) resolve();
      else reject(new Error(`${url}: ${response.statusCode}`));
    }).on('error', reject);
  });
}

/** As the module was built. */
function versionOf(file: string): string {
  const go = execFileSync('sh', [join(installationRoot(), 'scripts/go.sh')], { encoding: 'utf8' });
  const about = execFileSync(go.trim(), ['version', '-m', file], { encoding: 'utf8' });
  return /^\s*mod\s+\S+\s+(\S+)/m.exec(about)?.[1] ?? '';
}
