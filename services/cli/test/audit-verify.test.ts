import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointNote, checkpointText } from '@gigvault/merkle/checkpoint';
import { encodeLeaf } from '@gigvault/merkle/leaf';
import { EMPTY_FRONTIER, extendTree, leafHash, rootOf } from '@gigvault/merkle/tree';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { API, type FakeServer, startFakeServer } from './fake-server.ts';
import { createTestMachine, type TestMachine } from './test-terminal.ts';

const ORIGIN = 'gigvault.local/audit';

/** A log that signs what it holds, and can be tampered with. */
function createLog(key: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey) {
  const leaves: Buffer[] = [];
  const publicKey = (): Buffer => createPublicKey(key).export({ format: 'der', type: 'spki' });
  const note = (size = leaves.length, origin = ORIGIN): string => {
    const root = rootOf(extendTree(EMPTY_FRONTIER, leaves.slice(0, size).map(leafHash)).frontier);
    const head = { origin, size, root };
    return checkpointNote(
      head,
      publicKey(),
      sign('sha256', Buffer.from(checkpointText(head)), key),
    );
  };
  return {
    leaves,
    key,
    publicKey,
    note,
    append(count: number) {
      for (let i = 0; i < count; i++) leaves.push(leafAt(leaves.length));
    },
  };
}

function leafAt(index: number, subject = `s${index}`): Buffer {
  return encodeLeaf({
    position: index + 1,
    producer: 'ca',
    type: 'certificate.issued',
    occurredAt: 1_763_764_800_000 + index,
    actor: 'user:1',
    subject,
    data: Buffer.from('{}'),
    traceId: '',
  });
}

let server: FakeServer;
let machine: TestMachine;
let log: ReturnType<typeof createLog>;
let note: string;

beforeAll(async () => {
  server = await startFakeServer();
});

afterAll(() => server.stop());

beforeEach(async () => {
  log = createLog();
  log.append(2300);
  note = log.note();
  machine = await createTestMachine(server, { auditPublicKey: log.publicKey().toString('base64') });
  server.routes[`GET ${API}/audit/checkpoint`] = () => ({
    status: 200,
    body: { note, publicKey: log.publicKey().toString('base64') },
  });
  server.routes[`GET ${API}/audit/entries`] = ({ query }) => {
    const start = Number(query.get('start'));
    const items = log.leaves.slice(start, start + Number(query.get('limit'))).map((leaf, i) => ({
      leafIndex: start + i,
      leaf: leaf.toString('base64'),
      leafHash: leafHash(leaf).toString('base64'),
      event: null,
    }));
    return { status: 200, body: { items } };
  };
});

afterEach(() => machine.remove());

// covers: G55, G56, T65
describe('audit verify', () => {
  it('finds nothing in a sound log, and remembers what it saw', async () => {
    const run = await machine.run('audit verify');
    expect(run).toMatchObject({ code: 0, err: '' });
    expect(run.out.replace(/root {8}.*/, 'root        …')).toMatchInlineSnapshot(`
"✔ 2300 entries give the signed root
  log         gigvault.local/audit
  root        …
  signature   by the pinned key
  since last  first time on this machine
"
`);
    log.append(10);
    note = log.note();
    const again = await machine.run('audit verify -o json');
    expect(JSON.parse(again.out)).toMatchObject({
      ok: true,
      origin: ORIGIN,
      treeSize: 2310,
      previousTreeSize: 2300,
    });
    const state = join(machine.config, 'contexts', 'local', 'audit-checkpoint');
    expect((await stat(state)).mode & 0o777).toBe(0o600);
    expect(await readFile(state, 'utf8')).toBe(note);
  });

  it('finds an edited entry', async () => {
    log.leaves[1234] = leafAt(1234, 'forged');
    const run = await machine.run('audit verify');
    expect(run).toMatchObject({ code: 10, out: '' });
    expect(run.err).toMatchInlineSnapshot(`
"error: the audit log was changed                               GV-AUDIT-NOT-VERIFIED
  ✖ root-differs   The leaves 0 to 2299 do not give the root of the checkpoint of 2300 leaves.
  try   gigvault audit verify --export evidence.ndjson   (keep the evidence before anything else)
  more  https://docs.gigvault.dev/errors/GV-AUDIT-NOT-VERIFIED
"
`);
  });

  it('finds the exact place of a removed entry', async () => {
    log.leaves.splice(1234, 1);
    const run = await machine.run('audit verify');
    expect(run.code).toBe(10);
    expect(run.err).toContain('Leaf 1234');
  });

  it('finds a log that was rewritten since the last time, although it is signed', async () => {
    await machine.run('audit verify');
    log.leaves[5] = leafAt(5, 'forged');
    log.append(1);
    note = log.note();
    const run = await machine.run('audit verify');
    expect(run.code).toBe(10);
    expect(run.err).toContain('The leaves 0 to 2299 do not give the root');
  });

  it('finds a log that was cut back since the last time', async () => {
    await machine.run('audit verify');
    log.leaves.length = 2000;
    note = log.note();
    const run = await machine.run('audit verify');
    expect(run.code).toBe(10);
    expect(run.err).toContain('The log ends at 2000 leaves, but a checkpoint has 2300.');
  });

  it('refuses a checkpoint by another key, and one of another log', async () => {
    const other = createLog();
    other.append(2300);
    note = other.note();
    expect((await machine.run('audit verify')).code).toBe(10);
    note = log.note();
    await machine.run('audit verify');
    note = log.note(2300, 'evil/audit');
    expect((await machine.run('audit verify')).err).toContain('The checkpoint is of evil/audit');
    note = 'hello';
    expect((await machine.run('audit verify')).code).toBe(10);
  });

  it('pins the key at the first use when `up` did not', async () => {
    await machine.writeContexts('local', {
      local: { server: server.url, caFile: 'root.crt', apiKey: 'gv_key_good' },
    });
    const run = await machine.run('audit verify');
    expect(run.code).toBe(0);
    expect(run.err).toContain('it is trusted from now on');
    const file = parse(await readFile(join(machine.config, 'contexts.yaml'), 'utf8'));
    expect(file.contexts.local.auditPublicKey).toBe(log.publicKey().toString('base64'));
    expect((await machine.run('audit verify')).err).toBe('');
  });

  it('starts anew when the context pins another key, as after a new PKI', async () => {
    await machine.run('audit verify');
    log = createLog();
    log.append(3);
    note = log.note();
    expect((await machine.run('audit verify')).code).toBe(10);
    const auditPublicKey = log.publicKey().toString('base64');
    await machine.writeContexts('local', {
      local: { server: server.url, caFile: 'root.crt', apiKey: 'gv_key_good', auditPublicKey },
    });
    const run = await machine.run('audit verify');
    expect(run.code).toBe(0);
    expect(run.err).toContain('a new log starts here');
    expect((await machine.run('audit verify')).err).toBe('');
  });

  it('exports what it verified, and verifies that without a server', async () => {
    expect((await machine.run('audit verify --export log.ndjson')).code).toBe(0);
    expect((await machine.run('audit verify --export log.ndjson')).code).toBe(6);
    server.requests.length = 0;
    expect((await machine.run('audit verify --from log.ndjson')).code).toBe(0);
    expect(server.requests).toEqual([]);
    const path = join(machine.cwd, 'log.ndjson');
    const lines = (await readFile(path, 'utf8')).split('\n');
    const forged = { leafIndex: 7, leaf: leafAt(7, 'forged').toString('base64') };
    await writeFile(path, lines.with(8, JSON.stringify(forged)).join('\n'));
    expect((await machine.run('audit verify --from log.ndjson')).code).toBe(10);
    await writeFile(path, lines.toSpliced(500, 1).join('\n'));
    expect((await machine.run('audit verify --from log.ndjson')).err).toContain(
      'Leaf 499 is missing',
    );
    await writeFile(path, 'hello\n');
    expect((await machine.run('audit verify --from log.ndjson')).code).toBe(2);
    expect((await machine.run('audit verify --from nothing')).code).toBe(2);
  });

  it('verifies an older export for itself', async () => {
    await machine.run('audit verify --export old.ndjson');
    log.append(100);
    note = log.note();
    await machine.run('audit verify');
    const run = await machine.run('audit verify --from old.ndjson');
    expect(run.code).toBe(0);
    expect(run.out).toContain('older than what was verified here before (2400)');
    expect((await machine.run('audit verify -o json')).out).toContain('"previousTreeSize": 2400');
  });

  it('verifies an empty log', async () => {
    log.leaves.length = 0;
    note = log.note();
    expect((await machine.run('audit verify')).code).toBe(0);
  });
});
