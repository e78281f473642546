import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SERVICE_NAMES } from '@gigvault/rpc/service-name';
import { connect } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import type { HttpAnswer } from '@gigvault/testkit/http-client';
import { lives } from '@gigvault/testkit/lives';
import { MODES, SNAPSHOT_SIGNAL } from '@gigvault/testkit/pki-process';
import { runOrFail, runProgram } from '@gigvault/testkit/run-program';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { processesOf } from './crash/processes.ts';
import { pemCanary, secretsIn, secretsInDatabase, secretsInFiles } from './hostile/canaries.ts';
import { startKeyKeepers } from './hostile/key-keepers.ts';
import { startTraceCollector, type TraceCollector } from './hostile/trace-collector.ts';
import { operatorsOf } from './operators-of.ts';
import { API, useRest } from './rest-client.ts';
import { QUICK_CRL, startAcmeClient, usePki } from './use-pki.ts';

/** Where Node's debugger listens when nobody says otherwise. */
const DEBUGGER = 9229;

/** Whether the kernel writes core files to where processes run (core(5)). */
const WRITES_CORES = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').startsWith('core');
/** Filter of a core dump: all private mappings and shared ones. */
const EVERYTHING = '0x7f';

const keys = await startKeyKeepers();
// The PKI's processes take it from here.
Object.assign(process.env, keys.environment);
afterAll(() => keys.stop());

describe.each(MODES)('secrets, used and misused, %s — covers: T66', (mode) => {
  const folder = mkdtempSync(join(tmpdir(), 'gigvault-canaries-'));
  const config = join(folder, 'gigvault.yaml');
  let traces: TraceCollector;
  // Before the PKI starts, which is told of it.
  beforeAll(async () => {
    traces = await startTraceCollector();
    const more = { log: { level: 'debug' }, tracing: { endpoint: traces.endpoint } };
    writeFileSync(config, JSON.stringify({ ...more, ...keys.configuration }));
  });
  const shared = usePki(mode, ...QUICK_CRL, '--config', config);
  const rest = useRest(shared);
  afterAll(() => {
    traces?.stop();
    rmSync(folder, { recursive: true });
  });

  /** What was given to GigVault, or by it, and is nobody else's. */
  const passing = new Map<string, string>();
  /** What it works with, but in no text: a snapshot of a heap has the texts. */
  const inOctets = new Map<string, string | Buffer>();
  /** What it keeps, by file. */
  const kept = new Map<string, string>();
  /** Not secrets: that these came says that the traces did. */
  const spans = new Map([
    ['a setup', 'POST /service/api/v1/setup'],
    ['an order', 'POST /acme/order/:orderId/finalize'],
  ]);
  /** Answers in which no secret may stand. */
  const answers: HttpAnswer[] = [];

  beforeAll(async () => {
    for (const [name, pid] of processesOf(shared.pki))
      if (name !== 'database') process.kill(pid, 'SIGUSR1');
    await useSecrets();
    await useKeys();
    keepOnes();
  }, 120_000);

  it('are there to be found, as texts and as octets, in each form', async () => {
    expect([passing.size, kept.size]).toEqual([13, expect.any(Number)]);
    expect([...inOctets.keys()]).toEqual([
      'secret key of AWS',
      'secret key of KMS',
      'master key',
      'key of a person',
      'octets of the key of a person',
      'key of the issuing CA',
      'octets of the key of the issuing CA',
    ]);
    expect(kept.size).toBeGreaterThan(mode === 'split' ? 22 : 12);
    const everything = all();
    for (const [name, secret] of everything) {
      const around = Buffer.concat([Buffer.from('x='), Buffer.from(secret), Buffer.from(';')]);
      for (const text of [around, around.toString('hex'), around.toString('base64url')]) {
        const octets = Buffer.from(text);
        const file = join(folder, 'found');
        writeFileSync(file, octets);
        expect(secretsIn(octets, everything)).toContain(name);
        expect(await secretsInFiles(file, new Map([[name, secret]]))).toEqual([`: ${name}`]);
      }
    }
  });

  it('stand in no file but their own, no log line among them', async () => {
    const { dataDir } = shared.pki;
    const homes = (path: string) =>
      /^(secrets|tls|services\/keymgr\/secrets)\/|^pg\/admin-password$/.test(path);
    const everything = all();
    expect(await secretsInFiles(dataDir, everything, homes)).toEqual([]);
    // They would be found, there as everywhere.
    expect((await secretsInFiles(dataDir, everything)).length).toBeGreaterThanOrEqual(kept.size);
    const log = readFileSync(join(dataDir, 'logs', 'gigvault.log'), 'utf8');
    for (const line of [/"level":"debug"/, /POST \/service\/api\/v1\/setup/, /finalize/])
      expect(log).toMatch(line);
  });

  it('stand in no row of the database', async () => {
    const database = await connect(shared.pki);
    try {
      expect(await secretsInDatabase(database, all())).toEqual([]);
    } finally {
      await database.end();
    }
  });

  it('stand in no answer, in no metric, on no terminal and in no trace', async () => {
    const { pki } = shared;
    const everything = all();
    expect(answers.length).toBeGreaterThan(20);
    for (const { text, headers } of answers)
      expect(secretsIn(Buffer.from(text + JSON.stringify(headers)), everything)).toEqual([]);
    const operators = operatorsOf('ca', mode, pki);
    const metrics = await operators.http.fetch(operators.metrics);
    operators.http.close();
    expect(metrics.text).toContain('gigvault_');
    expect(secretsIn(metrics.body, everything)).toEqual([]);
    const shown = new Map(everything);
    shown.delete('passphrase of the root key');
    expect(secretsIn(Buffer.from(pki.output() + pki.errors()), shown)).toEqual([]);
    await eventually(() => expect(secretsIn(traces.received(), spans)).toEqual([...spans.keys()]));
    expect(secretsIn(traces.received(), everything)).toEqual([]);
  });

  it('stand in no command line, and in no environment but of those who were given them there', () => {
    for (const [name, pid] of processesOf(shared.pki)) {
      const inFile = (file: string) => secretsIn(readFileSync(`/proc/${pid}/${file}`), all());
      const given = ['gigvault', 'keymgr'].includes(name) ? ['secret key of AWS'] : [];
      expect([name, inFile('cmdline')]).toEqual([name, []]);
      expect([name, inFile('environ')]).toEqual([name, given]);
    }
  });

  if (mode === 'split') {
    it('are reached from outside by keymgr alone, which has one there', () => {
      const folder = join(shared.pki.dataDir, 'services');
      const files = readdirSync(folder).filter((file) => file.endsWith('.yaml'));
      const reaching = files.filter((file) =>
        /\n +vault:/.test(readFileSync(join(folder, file), 'utf8')),
      );
      expect(files.length).toBeGreaterThan(SERVICE_NAMES.length);
      expect(reaching).toEqual(['keymgr.yaml']);
    });
  }

  it('would stand in no core dump, and no signal opens a debugger', () => {
    for (const [name, pid] of processesOf(shared.pki)) {
      const filter = readFileSync(`/proc/${pid}/coredump_filter`, 'utf8').trim();
      expect([name, filter]).toEqual([name, '00000000']);
      expect([name, listensOn(pid, DEBUGGER)]).toEqual([name, false]);
    }
    expect(shared.pki.errors()).not.toMatch(/debugger/i);
  });

  it('are forgotten: no heap holds what was only passing', async () => {
    shared.http.close();
    // The whole code runs in one process; of several there is the edge, through which all secrets pass, and keymgr, which works with keys.
    const forgotten = new Map([...passing, ...inOctets]);
    for (const name of mode === 'split' ? ['edge', 'keymgr'] : ['gigvault']) {
      const snapshot = await snapshotOf(processesOf(shared.pki).get(name) as number);
      expect([name, await secretsInFiles(snapshot, forgotten)]).toEqual([name, []]);
      rmSync(snapshot);
    }
  }, 120_000);

  // The kernel of a machine of CI pipes dumps into a program, as a rule, and leaves no file to be looked at: there the filter of above must do.
  if (mode === 'split' && WRITES_CORES) {
    it('stand in no core file of keymgr, which would hold them but for the filter', async () => {
      const files = [await coreOf('keymgr'), await coreOf('keymgr', EVERYTHING)] as const;
      expect(await secretsInFiles(files[0], all())).toEqual([]);
      expect(await secretsInFiles(files[1], all())).not.toEqual([]);
      for (const file of files) rmSync(file);
    }, 120_000);
  }

  function all(): Map<string, string | Buffer> {
    return new Map([...passing, ...inOctets, ...kept]);
  }

  /** Uses every place of keys, replaces the master key, and takes what only the PKI should know from its files. */
  async function useKeys(): Promise<void> {
    const { pki } = shared;
    passing.set('PIN of the token', keys.pin).set('token of the vault', keys.vaultToken);
    inOctets.set('secret key of AWS', keys.awsSecretKey);
    inOctets.set('secret key of KMS', keys.kmsSecretKey);
    const done = async (...args: string[]) => {
      const { code, stdout, stderr } = await pki.cli(...args);
      expect([args, code, stderr]).toEqual([args, 0, '']);
      return stdout;
    };
    await done('key', 'generate', 'canary', '-o', 'json');
    await done('backends', 'test', 'token');
    await done('backends', 'test', 'cloud');
    const listed = await done('backends', 'list', '-o', 'json');
    expect(JSON.parse(listed)).toMatchObject({
      items: expect.arrayContaining([
        expect.objectContaining({ name: 'token', type: 'pkcs11', healthy: true }),
        expect.objectContaining({ name: 'cloud', type: 'aws-kms', healthy: true }),
      ]),
    });
    // What is wrong tells no secret either.
    await keys.breakFor(async () => {
      expect(await pki.cli('backends', 'test', 'cloud')).toMatchObject({ code: 9 });
    });
    await done('backends', 'rotate-master-key', 'pkcs8', '--yes');
    await eventually(async () => {
      const status = await done('backends', 'master-key', 'pkcs8', '-o', 'json');
      expect(JSON.parse(status)).toMatchObject({ earlier: [], keysUnderEarlier: 0 });
    });
    const masterKey = masterKeyOf(pki.dataDir);
    inOctets.set('master key', masterKey);
    for (const [keyId, name] of [
      ['canary', 'key of a person'],
      ['ca-issuing', 'key of the issuing CA'],
    ] as const) {
      const key = await privateKeyOf(keyId, masterKey);
      inOctets.set(name, pemCanary(key.export({ type: 'pkcs8', format: 'pem' }).toString()));
      const { d = '' } = key.export({ format: 'jwk' });
      inOctets.set(`octets of the ${name}`, Buffer.from(d, 'base64url'));
    }
  }

  /** As whoever has the whole data directory can read it. */
  async function privateKeyOf(keyId: string, passphrase: string): Promise<KeyObject> {
    const database = await connect(shared.pki);
    try {
      const { rows } = await database.query<{ handle: string }>(
        "SELECT handle FROM keymgr.key WHERE key_id = $1 AND backend = 'pkcs8'",
        [keyId],
      );
      const file = join(shared.pki.dataDir, 'services', 'keymgr', 'keys', `${rows[0]?.handle}.p8`);
      return createPrivateKey({ key: readFileSync(file), format: 'pem', passphrase });
    } finally {
      await database.end();
    }
  }

  /** Uses every secret as it is meant, and in every wrong way. */
  async function useSecrets(): Promise<void> {
    const canary = (name: string) => {
      const secret = `canary${randomBytes(18).toString('hex')}`;
      passing.set(name, secret);
      return secret;
    };
    const send = async (method: string, path: string, body: unknown, headers = {}) => {
      const answer = await rest.call(method, path, body, { connection: 'close', ...headers });
      answers.push(answer);
      return answer;
    };
    // Used.
    const created = await rest.call('POST', '/users', { name: 'carl', roles: ['requester'] });
    const { setupToken } = created.json<{ setupToken: string }>();
    const redeemed = await rest.call('POST', '/setup', { token: setupToken });
    const { apiKey } = redeemed.json<{ apiKey: string }>();
    const accessToken = await rest.exchange(apiKey);
    const authorization = `Bearer ${accessToken}`;
    passing.set('setup token', setupToken).set('API key', apiKey);
    passing.set('access token', accessToken.split('.')[2] as string);
    passing.set('passphrase of the root key', passphrase());
    await send('GET', '/whoami', undefined, { authorization });
    // Used again, in other places, and by mistake.
    await send('POST', '/setup', { token: setupToken });
    for (const secret of [setupToken, apiKey, canary('wrong secret')]) {
      await send('POST', '/setup', { token: secret });
      await send('POST', '/token', { grantType: 'client_credentials', clientSecret: secret });
      for (const scheme of ['Bearer', 'Basic', ''])
        await send('GET', '/whoami', undefined, { authorization: `${scheme} ${secret}` });
      await send('GET', '/keys', undefined, { cookie: `session=${secret}`, 'x-api-key': secret });
    }
    await send('GET', '/whoami', undefined, { authorization: `${authorization}x` });
    await send('POST', '/token', `grantType=x&clientSecret=${canary('secret in a form')}`, {
      'content-type': 'application/x-www-form-urlencoded',
    });
    await send(
      'GET',
      `/users?cursor=${encodeURIComponent(canary('secret in a query'))}`,
      undefined,
    );
    await send('POST', '/csrs', `{"password":"${canary('secret in what is no JSON')}"`);
    await submitPrivateKeys(send);
  }

  async function submitPrivateKeys(
    send: (method: string, path: string, body: unknown) => Promise<HttpAnswer>,
  ): Promise<void> {
    const pem = () => {
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
      return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    };
    const [inRest, inAcme, inHeader] = [pem(), pem(), pem()];
    passing.set('private key in a request', pemCanary(inRest));
    passing.set('private key in ACME', pemCanary(inAcme));
    passing.set('private key in a header', pemCanary(inHeader));
    await send('POST', '/csrs', { certificationRequest: inRest });
    await send('POST', '/certificates', { certificationRequest: inRest });
    await send('POST', '/csrs', { certificationRequest: inRest, reason: 'by mistake' });
    answers.push(
      await rest.fetch(`${API}/whoami`, {
        headers: { authorization: inHeader.replaceAll('\n', ''), connection: 'close' },
      }),
    );
    const { client, responder } = await startAcmeClient(shared);
    try {
      const order = await client.prove(await client.newOrder(['canary.localhost']));
      const der = Buffer.from(inAcme.replaceAll(/-.*-|\n/g, ''), 'base64');
      for (const csr of [der.toString('base64url'), inAcme])
        answers.push(await client.post(order.finalize, { csr }));
      await client.certificate(['canary.localhost']);
    } finally {
      await responder.stop();
    }
  }

  function passphrase(): string {
    return /root key, shown this once.*\n +(\S+)/.exec(shared.pki.output())?.[1] as string;
  }

  function keepOnes(): void {
    const { dataDir } = shared.pki;
    for (const name of readdirSync(join(dataDir, 'secrets')))
      kept.set(name, readFileSync(join(dataDir, 'secrets', name), 'utf8').trim());
    for (const name of readdirSync(join(dataDir, 'tls')).filter((file) => file.endsWith('.key')))
      kept.set(name, pemCanary(readFileSync(join(dataDir, 'tls', name), 'utf8')));
    kept.set(
      'database administrator',
      readFileSync(join(dataDir, 'pg', 'admin-password'), 'utf8').trim(),
    );
  }

  /** The core file of this process, which its supervisor replaces. @param filter as core(5) has it; default: its own */
  async function coreOf(name: string, filter?: string): Promise<string> {
    const pid = processesOf(shared.pki).get(name) as number;
    if (filter !== undefined) writeFileSync(`/proc/${pid}/coredump_filter`, filter);
    const cwd = readlinkSync(`/proc/${pid}/cwd`);
    await runOrFail('prlimit', ['--pid', `${pid}`, '--core=unlimited']);
    process.kill(pid, 'SIGABRT');
    await eventually(async () => {
      expect(lives(pid)).toBe(false);
      expect(await shared.pki.cli('backends', 'test', 'pkcs8')).toMatchObject({ code: 0 });
    });
    // `core`, and on some machines the process id behind it.
    const core = readdirSync(cwd).find((file) => file.startsWith('core')) as string;
    const dump = join(cwd, `dump of ${pid}`);
    renameSync(join(cwd, core), dump);
    return dump;
  }

  /** The file of the snapshot that a process writes of its heap, after a collection; once it is whole. */
  async function snapshotOf(pid: number): Promise<string> {
    const { home } = shared.pki;
    process.kill(pid, SNAPSHOT_SIGNAL);
    const ofProcess = (file: string) => file.includes(`.${pid}.`) && file.endsWith('.heapsnapshot');
    return eventually(async () => {
      const path = join(home, readdirSync(home).find(ofProcess) ?? 'none');
      const last = await runProgram('tail', ['-c', '5', path]);
      expect(last.stdout).toMatch(/\]\s*\}\s*$/);
      return path;
    }, 90_000);
  }
});

/** The one that is there once a rotation is at its end. */
function masterKeyOf(dataDir: string): string {
  const folder = join(dataDir, 'services', 'keymgr', 'secrets');
  const [name, ...others] = readdirSync(folder);
  expect([name, others]).toEqual(['keymgr-master.key.2', []]);
  return readFileSync(join(folder, name as string), 'utf8').trim();
}

/** Whether the process has a socket that listens on this port (proc(5), `/proc/net/tcp`). */
function listensOn(pid: number, port: number): boolean {
  const local = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inodes = ['tcp', 'tcp6']
    .flatMap((file) => readFileSync(`/proc/${pid}/net/${file}`, 'utf8').split('\n').slice(1))
    .map((line) => line.trim().split(/ +/))
    .filter(([, address, , state]) => address?.endsWith(local) && state === '0A')
    .map((fields) => `socket:[${fields[9]}]`);
  const open = readdirSync(`/proc/${pid}/fd`).map((fd) => `/proc/${pid}/fd/${fd}`);
  return open.some((fd) => inodes.includes(readlinkSync(fd)));
}
