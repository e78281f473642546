import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually } from './eventually.ts';
import { runOrFail } from './run-program.ts';
import { TEST_PIN, TEST_SO_PIN, type TestToken, tokenUri } from './test-token.ts';

/** Debian's place, on whichever machine. */
const LIBRARY = '/usr/lib/*/libtpm2_pkcs11.so.1';

/** A token in a TPM that can go away. */
export interface SwtpmToken extends TestToken {
  /** The TPM is dead at once, as after a fault of its power; its resource manager stays. */
  takeAway(): Promise<void>;
  /** The same TPM again, started, behind a new resource manager. */
  bringBack(): Promise<void>;
}

/**
 * A fresh token of tpm2-pkcs11. swtpm plays the TPM 2.0; between them is the resource manager tpm2-abrmd on a bus of its own, since a TPM holds
 * three keys at a time.
 */
export async function swtpmToken(label = 'gigvault'): Promise<SwtpmToken> {
  const root = await mkdtemp(join(tmpdir(), 'gigvault-swtpm-'));
  const folder = join(root, 'store');
  await mkdir(folder);
  const library = globSync(LIBRARY)[0] ?? LIBRARY;
  const named = await tokenUri(root, label, library);
  const bus = `unix:path=${join(root, 'bus')}`;
  const environment = {
    DBUS_SESSION_BUS_ADDRESS: bus,
    TPM2_PKCS11_STORE: folder,
    TPM2_PKCS11_TCTI: 'tabrmd:bus_type=session',
    // It has much to say about what it looks for first and does not find.
    TPM2_PKCS11_LOG_LEVEL: '0',
    TSS2_LOG: 'all+NONE',
  };
  const daemon = start('dbus-daemon', ['--session', '--nofork', `--address=${bus}`]);
  await listening(join(root, 'bus'));
  let tpm = await startTpm(root);
  let manager = startManager(root, bus);
  const tool = (...args: readonly string[]) =>
    runOrFail('pkcs11-tool', ['--module', library, '--so-pin', TEST_SO_PIN, ...args], {
      env: { ...process.env, ...environment },
    });
  const asOfficer = ['--login', '--login-type', 'so', '--token-label', label];
  await eventually(() => tool('--init-token', '--slot-index', '0', '--label', label));
  await tool('--init-pin', ...asOfficer, '--pin', TEST_PIN);
  return {
    ...named,
    environment,
    folder,
    takeAway: () => kill(tpm),
    async bringBack() {
      tpm = await startTpm(root);
      await kill(manager);
      manager = startManager(root, bus);
    },
    async remove() {
      for (const process of [manager, daemon, tpm]) await kill(process);
      await rm(root, { recursive: true, force: true });
    },
  };
}

/** The TPM, whose state lies in a folder. */
async function startTpm(root: string): Promise<ChildProcess> {
  const [state, socket] = [join(root, 'state'), join(root, 'socket')];
  await mkdir(state, { recursive: true });
  // Left by one that was killed.
  for (const left of [socket, `${socket}.ctrl`]) await rm(left, { force: true });
  const tpm = start('swtpm', [
    'socket',
    '--tpm2',
    ...['--tpmstate', `dir=${state}`],
    ...['--server', `type=unixio,path=${socket}`],
    ...['--ctrl', `type=unixio,path=${socket}.ctrl`],
    ...['--flags', 'not-need-init,startup-clear'],
  ]);
  await listening(`${socket}.ctrl`);
  return tpm;
}

/** The resource manager on its bus. */
function startManager(root: string, bus: string): ChildProcess {
  return start(
    'tpm2-abrmd',
    ['--session', '--allow-root', `--tcti=swtpm:path=${join(root, 'socket')}`],
    { DBUS_SESSION_BUS_ADDRESS: bus },
  );
}

/** Resolves when it is dead, also one that was before. */
async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

function start(program: string, args: readonly string[], variables: object = {}): ChildProcess {
  const env = { ...process.env, ...variables };
  const child = spawn(program, args, { stdio: 'ignore', env });
  // Who waits for what it makes says that it is not there.
  child.on('error', () => undefined);
  return child;
}

async function listening(path: string): Promise<void> {
  await eventually(() => {
    if (!existsSync(path)) throw new Error(`Nobody listens at ${path}: see scripts/test-deps.sh`);
  });
}
