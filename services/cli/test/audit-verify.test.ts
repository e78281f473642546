import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { checkpointNote, checkpointText } from '@gigvault/merkle/checkpoint';
import { encodeLeaf } from '@gigvault/merkle/leaf';
import { EMPTY_FRONTIER, extendTree, leafHash, rootOf } from '@gigvault/merkle/tree';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
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

const knownLogs = async ({ config } = machine): Promise<unknown> =>
  JSON.parse(await readFile(join(config, 'audit-logs.json'), 'utf8'));

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
    expect((await stat(join(machine.config, 'audit-logs.json'))).mode & 0o777).toBe(0o600);
    expect(await knownLogs()).toEqual([
      { publicKey: log.publicKey().toString('base64'), checkpoint: note, server: server.url },
    ]);
    expect((await machine.run('status')).out).toContain('verified up to 2310 entries');
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
    expect((await machine.run('audit verify')).err).toBe('');
    log = createLog();
    log.append(2301);
    note = log.note();
    const replaced = await machine.run('audit verify');
    expect(replaced.code).toBe(10);
    expect(replaced.err).toContain(
      'try   gigvault audit verify --public-key <file>   (when it is the log of another GigVault)',
    );
  });

  it('remembers the log, not the context: another person has the same protection', async () => {
    const someone = { server: server.url, caFile: 'root.crt', apiKey: 'gv_key_good' };
    await machine.writeContexts('ada', { ada: someone, grace: someone });
    expect((await machine.run('audit verify')).code).toBe(0);
    const grace = await machine.run('audit verify --context grace');
    expect(grace).toMatchObject({ code: 0, err: '' });
    expect(grace.out).toContain('nothing changed in the first 2300, 0 new');
    await machine.run('context remove ada --yes');
    log.leaves.length = 2000;
    note = log.note();
    expect((await machine.run('audit verify --context grace')).err).toContain(
      'The log ends at 2000 leaves, but a checkpoint has 2300.',
    );
    log = createLog();
    log.append(2400);
    note = log.note();
    expect((await machine.run('audit verify --context grace')).code).toBe(10);
  });

  it('refuses to go on without what it verified before', async () => {
    await writeFile(join(machine.config, 'audit-logs.json'), '{}');
    const run = await machine.run('audit verify');
    expect(run.code).toBe(2);
    expect(run.err).toContain('try   mv ');
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
    expect(await knownLogs()).toHaveLength(2);
  });

  it('exports what it verified, and verifies that without a server', async () => {
    expect((await machine.run('audit verify --export log.ndjson')).code).toBe(0);
    expect((await machine.run('audit verify --export log.ndjson')).code).toBe(6);
    server.requests.length = 0;
    expect((await machine.run('audit verify --from log.ndjson')).code).toBe(0);
    expect(server.requests).toEqual([]);
    const path = join(machine.cwd, 'log.ndjson');
    const again = await machine.run('audit verify --export log.ndjson');
    expect(again.err).toContain('try   gigvault audit verify --export log.ndjson --force');
    expect(again.err).not.toContain('--out-dir');
    const lines = (await readFile(path, 'utf8')).split('\n');
    const forged = { leafIndex: 7, leaf: leafAt(7, 'forged').toString('base64') };
    await writeFile(path, lines.with(8, JSON.stringify(forged)).join('\n'));
    expect((await machine.run('audit verify --from log.ndjson')).code).toBe(10);
    await writeFile(path, lines.toSpliced(500, 1).join('\n'));
    expect((await machine.run('audit verify --from log.ndjson')).err).toContain(
      'Leaf 499 is missing',
    );
    await writeFile(path, 'hello\n');
    const noExport = await machine.run('audit verify --from log.ndjson');
    expect(noExport.code).toBe(2);
    expect(noExport.err).toContain('try   gigvault audit verify --export audit.ndjson');
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

  describe('on a machine without a context', () => {
    let stranger: TestMachine;
    let exported: string;

    beforeEach(async () => {
      await machine.run('audit verify --export log.ndjson');
      exported = await readFile(join(machine.cwd, 'log.ndjson'), 'utf8');
      stranger = await createTestMachine();
      await writeFile(join(stranger.cwd, 'log.ndjson'), exported);
      server.requests.length = 0;
    });

    afterEach(() => stranger.remove());

    const give = (name: string, text: string) => writeFile(join(stranger.cwd, name), text);
    const verify = (more = '') => stranger.run(`audit verify --from log.ndjson ${more}`);

    it('verifies an export, and warns that nothing pins its key', async () => {
      const run = await verify();
      expect(run.code).toBe(0);
      expect(run.err).toMatchInlineSnapshot(`
"! nothing pins the key of this log: who made the file may have made the key as well
  pin it with --public-key <file>, and its past with --checkpoint <file>
"
`);
      expect(run.out).toContain('signature   by a key that nothing pinned before');
      expect((await verify()).err).toBe(run.err);
      expect(JSON.parse((await verify('-o json')).out)).toMatchObject({ ok: true, pinned: false });
      expect(server.requests).toEqual([]);
      await expect(knownLogs(stranger)).rejects.toThrow('ENOENT');
    });

    it('pins the key by --public-key in each form, and then remembers the log', async () => {
      const pem = createPublicKey(log.key).export({ format: 'pem', type: 'spki' }) as string;
      const base64 = log.publicKey().toString('base64');
      for (const form of [pem, `${base64}\n`, JSON.stringify({ publicKey: base64 })]) {
        await give('audit.pub', form);
        expect(await verify('--public-key audit.pub')).toMatchObject({ code: 0, err: '' });
      }
      expect(await verify()).toMatchObject({ code: 0, err: '' });
      const other = createLog();
      await give('audit.pub', other.publicKey().toString('base64'));
      expect((await verify('--public-key audit.pub')).code).toBe(10);
      await give('audit.pub', 'hello');
      const run = await verify('--public-key audit.pub');
      expect(run.code).toBe(2);
      expect(run.err).toContain('audit.pub holds no public key');
    });

    it('pins the past by --checkpoint: a note, or what was printed then', async () => {
      await give('seen.note', log.note(1000));
      const byNote = await verify('--checkpoint seen.note');
      expect(byNote.code).toBe(0);
      expect(byNote.err).toContain('only the first 1000 entries');
      await give('seen.json', (await verify('-o json')).out);
      expect((await verify('--checkpoint seen.json')).err).toContain('nothing pins the key');
      await give('seen.json', (await machine.run('audit verify -o json')).out);
      expect(await verify('--checkpoint seen.json')).toMatchObject({ code: 0, err: '' });

      await give('seen.note', 'hello');
      expect((await verify('--checkpoint seen.note')).code).toBe(2);
      await give('seen.note', createLog().note(0));
      expect((await verify('--checkpoint seen.note')).code).toBe(10);
      log.append(1);
      await give('seen.note', log.note());
      expect((await verify('--checkpoint seen.note')).err).toContain(
        'The log ends at 2300 leaves, but a checkpoint has 2301.',
      );
      log.leaves[5] = leafAt(5, 'other');
      await give('seen.note', log.note(1000));
      expect((await verify('--checkpoint seen.note')).err).toContain('The leaves 0 to 999');
    });
  });

  it('verifies an empty log', async () => {
    log.leaves.length = 0;
    note = log.note();
    expect((await machine.run('audit verify')).code).toBe(0);
  });
});
