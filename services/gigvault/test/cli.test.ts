import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from '@gigvault/testkit/check-pki';
import { eventually } from '@gigvault/testkit/eventually';
import { MODES } from '@gigvault/testkit/pki-process';
import { type ProgramResult, runOrFail, runProgram } from '@gigvault/testkit/run-program';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { QUICK_CRL, START_TIMEOUT, usePki } from './use-pki.ts';

/** A second backend of keys, as flags say it. */
const SCRATCH = ['--keymgr-backends-0-name', 'scratch', '--keymgr-backends-0-type', 'memory'];

const OLDER_TLS = ['--https-tls-min-version', '1.2'];
const KEYS = ['--keymgr-destruction-approvals', '1', '--keymgr-limits-people-generate', '100'];

describe.each(MODES)('the gigvault command, %s', (mode) => {
  const shared = usePki(mode, ...QUICK_CRL, ...SCRATCH, ...OLDER_TLS, ...KEYS);
  const cli = (...args: string[]) => shared.pki.cli(...args);

  /** The JSON of a command that must succeed. */
  async function data<T>(...args: string[]): Promise<T> {
    return JSON.parse(done(await cli(...args, '-o', 'json'))) as T;
  }

  it('works right after up: a certificate from the beginning to its end', async () => {
    const { home } = shared.pki;
    const created = await cli(
      'cert',
      'create',
      'api.localhost',
      '--san',
      'www.localhost',
      '--ip',
      '127.0.0.1',
    );
    expect(done(created)).toMatch(/Issued +api\.localhost/);
    expect(statSync(join(home, 'api.localhost.key')).mode & 0o777).toBe(0o600);
    const chain = join(home, 'api.localhost.crt');
    await runOrFail('openssl', [
      'verify',
      '-CAfile',
      shared.pki.rootFile,
      '-untrusted',
      chain,
      chain,
    ]);

    const { items } = await data<{ items: Listed[] }>('cert', 'list', '--cn', 'api.localhost');
    expect(items).toMatchObject([{ commonName: 'api.localhost', status: 'valid' }]);
    const serial = items[0]?.serialNumber as string;
    expect(done(await cli('cert', 'list'))).toContain('api.localhost');
    expect(done(await cli('cert', 'get', serial, '--pem'))).toBe(readFileSync(chain, 'utf8'));
    expect(done(await cli('cert', 'verify', chain, '--name', 'www.localhost'))).toMatch(
      /revocation +not revoked/,
    );

    const hesitant = await cli('cert', 'revoke', serial, '--reason', 'superseded');
    expect([hesitant.code, hesitant.stderr]).toEqual([2, expect.stringMatching(/--yes/)]);
    expect(done(await cli('cert', 'revoke', serial, '--reason', 'superseded', '--yes'))).toMatch(
      /Revoked/,
    );
    expect(await data('cert', 'get', serial)).toMatchObject({
      status: 'revoked',
      reason: 'superseded',
    });
    const revoked = await cli('cert', 'verify', chain);
    expect([revoked.code, revoked.stderr]).toEqual([10, expect.stringMatching(/revoked on/)]);
    expect((await cli('cert', 'revoke', serial, '--yes')).code).toBe(6);
  }, 60_000);

  // What the command says is up to it and the REST API: in split mode its ways through the edge are enough.
  if (mode === 'one process') {
    it('JSON and YAML say the same', async () => {
      const json = done(await cli('status', '-o', 'json'));
      const yaml = done(await cli('status', '-o', 'yaml'));
      expect(parse(yaml)).toEqual(JSON.parse(json));
      expect(JSON.parse(json)).toMatchObject({ ready: true, server: shared.pki.publicUrl });
    });

    it('a request of somebody else waits for a person, and nobody approves their own', async () => {
      const { pki } = shared;
      const grace = await newUser('grace', 'requester', 'approver');
      const csr = await certificationRequest('shop.example.com');
      const submitted = await grace('csr', 'submit', csr, '--reason', 'the web shop', '-o', 'json');
      expect(submitted.code).toBe(8);
      const { requestId } = JSON.parse(submitted.stdout) as { requestId: string };
      const own = await grace('csr', 'approve', requestId);
      expect([own.code, own.stderr]).toEqual([4, expect.stringMatching(/GV-SELF-APPROVAL/)]);

      const pending = await data<{ items: { requestId: string }[] }>(
        'csr',
        'list',
        '--status',
        'pending',
      );
      expect(pending.items.map((item) => item.requestId)).toContain(requestId);
      expect(done(await cli('csr', 'approve', requestId, '--comment', 'as agreed'))).toMatch(
        /Approved/,
      );
      const leaf = join(pki.home, 'shop.pem');
      writeFileSync(leaf, done(await grace('csr', 'get', requestId, '--pem')));
      await runOrFail('openssl', ['verify', '-CAfile', pki.rootFile, '-untrusted', leaf, leaf]);
      expect((await cli('csr', 'approve', requestId)).code).toBe(6);
    }, 60_000);

    it('a rejected request stays rejected', async () => {
      const linus = await newUser('linus', 'requester');
      const csr = await certificationRequest('wrong.example.com');
      const submitted = await linus('csr', 'submit', csr, '-o', 'json');
      const { requestId } = JSON.parse(submitted.stdout) as { requestId: string };
      expect((await linus('csr', 'approve', requestId)).code).toBe(4);
      expect(done(await cli('csr', 'reject', requestId, '--comment', 'wrong name'))).toMatch(
        /Rejected/,
      );
      expect((await cli('csr', 'approve', requestId)).code).toBe(6);
      expect(JSON.parse(done(await linus('csr', 'get', requestId, '-o', 'json')))).toMatchObject({
        status: 'rejected',
        votes: [{ approve: false, comment: 'wrong name' }],
      });
    }, 60_000);

    it('a setup token signs in once', async () => {
      const { setupToken } = await data<Invited>('user', 'create', 'ada', '--role', 'auditor');
      const ada = as('ada');
      expect(done(await ada('setup', setupToken, ...server()))).toMatch(/Signed in +ada/);
      expect(JSON.parse(done(await ada('whoami', '-o', 'json')))).toMatchObject({ name: 'ada' });
      const again = await as('eve')('setup', setupToken, ...server());
      expect(again.code).toBe(3);
      expect(existsSync(join(shared.pki.home, 'eve', 'gigvault', 'contexts.json'))).toBe(false);
      expect((await ada('cert', 'create', 'no.localhost')).code).toBe(4);
    }, 30_000);

    it('the token that up prints makes the first administrator', async () => {
      const token = /gigvault setup (gv_setup_\S+)/.exec(shared.pki.output())?.[1] as string;
      expect(done(await as('root')('setup', token, '--name', 'boss', ...server()))).toMatch(
        /admin/,
      );
      expect((await as('late')('setup', token, '--name', 'late', ...server())).code).toBe(3);
    }, 30_000);
  }

  it('keys are generated in the key manager', async () => {
    expect(await data('key', 'generate', 'signing-2027')).toMatchObject({
      keyId: 'signing-2027',
      state: 'active',
    });
    expect((await cli('key', 'generate', 'signing-2027')).code).toBe(6);
    expect(done(await cli('key', 'list'))).toContain('signing-2027');
  });

  it('a key that is made for later signs once it is enabled', async () => {
    const file = join(shared.pki.home, 'later.txt');
    writeFileSync(file, 'later');
    const key = 'signing-2028';
    expect(await data('key', 'generate', key, '--pre-active')).toMatchObject({
      state: 'pre-active',
    });
    expect(done(await cli('key', 'list', '-q', '--state', 'pre-active'))).toBe(`${key}\n`);
    const refused = await cli('key', 'sign', key, file);
    expect([refused.code, refused.stderr]).toEqual([4, expect.stringMatching(/key is pre-active/)]);
    expect(done(await cli('key', 'enable', key))).toMatch(/active/);
    expect(done(await cli('key', 'sign', key, file))).toMatch(/^[A-Za-z0-9+/]+=*\n$/);
  }, 30_000);

  it('clients that know no TLS 1.3 come in where they may, with AEAD only — covers: X1, K138', async () => {
    const { rootFile, publicUrl } = shared.pki;
    const curl = (...flags: string[]) =>
      runProgram('curl', [
        ...['--silent', '--cacert', rootFile, '--tls-max', '1.2', ...flags],
        ...['--output', '/dev/null', '--write-out', '%{http_code}', `${publicUrl}/live`],
      ]);
    expect(await curl()).toMatchObject({ code: 0, stdout: '200' });
    expect((await curl('--ciphers', 'ECDHE-ECDSA-AES128-SHA')).code).not.toBe(0);
    expect((await curl('--tls-max', '1.1')).code).not.toBe(0);
  });

  it('key backends are listed, shown and tried — covers: K52, K53, K63, K64, K119, K120', async () => {
    const { items } = await data<{ items: { name: string }[] }>('backends', 'list');
    expect(items.sort((a, b) => (a.name < b.name ? -1 : 1))).toMatchObject([
      { name: 'pkcs8', default: true, healthy: true, type: 'pkcs8', fips: false, hardware: false },
      { name: 'scratch', default: false, healthy: true, type: 'memory', hardware: false },
    ]);
    expect(done(await cli('backends', 'info', 'pkcs8'))).toMatch(/encrypted files in/);
    const tested = async (keyType: string) =>
      done(await cli('backends', 'test', 'pkcs8', '--key-type', keyType));
    expect(await tested('ed25519')).toMatch(/works: ed25519 made in .*, signed in .*, verified,/);
    expect(await tested('aes-256')).toMatch(/works: aes-256 .*, encrypted in .*, decrypted,/);
    expect((await cli('backends', 'info', 'nobody')).code).toBe(5);
  });

  it('a key signs a file, in each of its versions, until it is taken out of use', async () => {
    const { home } = shared.pki;
    const [file, signature, spki, der] = ['release.txt', 'a.sig', 'a.pem', 'a.der'].map((name) =>
      join(home, name),
    ) as [string, string, string, string];
    const key = 'release-key';
    writeFileSync(file, 'release 1\n');
    writeFileSync(spki, done(await cli('key', 'generate', key, '-o', 'pem')));
    writeFileSync(signature, done(await cli('key', 'sign', key, file)));
    writeFileSync(der, Buffer.from(readFileSync(signature, 'utf8'), 'base64'));
    const openssl = ['dgst', '-sha256', '-verify', spki, '-signature', der, file];
    expect(await runOrFail('openssl', openssl)).toContain('Verified OK');
    expect(await data('key', 'rotate', key)).toMatchObject({ version: 2 });
    const verify = ['key', 'verify', key, file, '--signature', signature];
    expect(await data(...verify)).toEqual({ valid: true, version: 1, state: 'active' });
    expect((await cli(...verify, '--key-version', '2')).code).toBe(10);
    expect((await cli(...verify, '--key-version', '3')).code).toBe(5);
    expect(await data('key', 'get', key)).toMatchObject({
      versions: [{ version: 2 }, { version: 1 }],
    });

    expect(done(await cli('key', 'disable', key))).toMatch(/suspended/);
    expect((await cli('key', 'sign', key, file)).code).toBe(4);
    expect((await cli('key', 'rotate', key)).code).toBe(6);
    expect(done(await cli('key', 'enable', key))).toMatch(/active/);
    expect((await cli('key', 'destroy', key)).code).toBe(2);
    expect(await data('key', 'destroy', key, '--yes')).toMatchObject({
      state: 'deactivated',
      destroyAt: expect.any(String),
    });
    expect((await cli('key', 'sign', key, file)).code).toBe(4);
    expect((await cli('key', 'enable', key)).code).toBe(6);
    const listed = (...flags: string[]) => cli('key', 'list', '-q', ...flags);
    expect(done(await listed('--state', 'deactivated'))).toContain(key);
    expect(done(await listed('--backend', 'pkcs8'))).toContain(key);
    expect(done(await listed('--backend', 'scratch', '--state', 'deactivated'))).toBe('');
    expect(done(await cli('key', 'restore', key))).toMatch(/active/);
    expect(done(await cli('key', 'sign', key, file))).toMatch(/^[A-Za-z0-9+/]+=*\n$/);
  }, 60_000);

  // As above.
  if (mode === 'one process') {
    it('a key is used by whom it was granted to, as long as it is', async () => {
      const file = join(shared.pki.home, 'granted.txt');
      writeFileSync(file, 'granted');
      done(await cli('key', 'generate', 'shared-key'));
      const kay = await newUser('kay', 'key-user');
      expect((await kay('key', 'sign', 'shared-key', file)).code).toBe(4);
      const uses = ['--use', 'sign', '--use', 'verify'];
      expect(done(await cli('key', 'grant', 'shared-key', 'kay', ...uses))).toMatch(
        /kay +sign,verify/,
      );
      done(await kay('key', 'sign', 'shared-key', file));
      expect(done(await cli('key', 'grants', 'shared-key'))).toMatch(/kay +sign,verify/);
      expect((await kay('key', 'grant', 'shared-key', 'kay', ...uses)).code).toBe(4);
      expect((await cli('key', 'grant', 'shared-key', 'nobody', ...uses)).code).toBe(5);
      expect((await cli('key', 'grant', 'shared-key', 'kay', '--use', 'export')).code).toBe(2);
      expect(await data('key', 'ungrant', 'shared-key', 'kay')).toEqual({ version: 2, grants: [] });
      expect((await kay('key', 'sign', 'shared-key', file)).code).toBe(4);
    }, 60_000);

    it('covers: T64. a key is destroyed by two, of whom the second approves', async () => {
      done(await cli('key', 'generate', 'doomed-key'));
      expect((await cli('key', 'approve', 'doomed-key', '--yes')).code).toBe(6);
      expect((await cli('key', 'destruction', 'doomed-key')).code).toBe(5);
      done(await cli('key', 'delete', 'doomed-key', '--yes'));
      expect(done(await cli('key', 'destruction', 'doomed-key'))).toMatch(/Approved by 0 of 1\./);
      expect((await cli('key', 'approve', 'doomed-key', '--yes')).code).toBe(4);
      const second = await newUser('hopper', 'admin');
      expect((await second('key', 'approve', 'doomed-key')).code).toBe(2);
      expect(done(await second('key', 'approve', 'doomed-key', '--yes'))).toMatch(
        /Approved by 1 of 1: hopper\./,
      );
    }, 60_000);

    it('covers: T63. nobody signs with a key that is trusted, and the attempt is in the log', async () => {
      const file = join(shared.pki.home, 'tbs.der');
      writeFileSync(file, 'anything');
      const keys = ['ca-issuing', 'ca-services', 'auth-token', 'audit-checkpoint'];
      for (const key of keys) {
        const refused = await cli('key', 'sign', key, file);
        expect([refused.code, refused.stderr]).toEqual([
          4,
          expect.stringMatching(/GV-KEY-USE-REFUSED/),
        ]);
        for (const verb of ['rotate', 'disable', 'destroy', 'restore'])
          expect((await cli('key', verb, key, '--yes')).code).toBe(4);
      }
      const ada = await newUser('ada-lovelace', 'auditor');
      expect((await ada('key', 'sign', 'ca-issuing', file)).code).toBe(4);
      const database = await connect(shared.pki);
      try {
        const { rows } = await database.query<{ subject: string; n: number }>(
          `SELECT subject, count(*)::int AS n FROM keymgr.outbox WHERE type = 'key.refused' AND actor LIKE 'user:%'
           AND subject = ANY ($1) GROUP BY subject`,
          [keys],
        );
        expect(rows.map(({ n }) => n).sort()).toEqual([5, 5, 5, 6]);
      } finally {
        await database.end();
      }
    }, 90_000);

    it('exit codes tell what happened', async () => {
      const never = '42'.repeat(16);
      expect((await cli('cert', 'get', never)).code).toBe(5);
      expect((await cli('cert', 'create', 'shop.example.org')).code).toBe(8);
      const denied = await cli('cert', 'create', 'long.localhost', '--ttl', '400d');
      expect([denied.code, denied.stderr]).toEqual([7, expect.stringMatching(/GV-POLICY-DENIED/)]);
      expect((await cli('status', '--server', 'https://localhost:1')).code).toBe(9);
      expect((await cli('cert', 'lsit')).code).toBe(2);
      expect((await cli('cert', 'list', '--status', 'odd')).code).toBe(2);
      expect((await as('nobody')('cert', 'list', ...server())).code).toBe(3);
    }, 60_000);
  }

  // covers: T65
  describe('audit verify', () => {
    it('recomputes the log', async () => {
      expect(done(await cli('audit', 'verify'))).toMatch(/entries give the signed root/);
    });

    // As above.
    if (mode === 'split') return;

    /** Two neighbours of one producer: the change of one must not be taken for the other's. */
    it.each<
      readonly [string, (first: Leaf, second: Leaf) => Leaf[], (i: number, j: number) => string[]]
    >([
      [
        'that was edited',
        (first, second) => [{ ...first, leaf: forged(first.leaf) }, second],
        (i) => [`edited +Leaf ${i} is not what was appended`],
      ],
      ['that was deleted', (_first, second) => [second], (i) => [`missing +Leaf ${i} is missing`]],
      [
        'that was deleted, and another put in its place',
        (first, second) => [{ ...second, leafIndex: first.leafIndex }],
        (i, j) => [
          `missing +Leaf ${i} is event .* what was between is missing`,
          `Leaf ${j} is missing`,
        ],
      ],
      [
        'that changed places with another',
        (first, second) => [
          { ...second, leafIndex: first.leafIndex },
          { ...first, leafIndex: second.leafIndex },
        ],
        (i, j) => [
          `missing +Leaf ${i} is event`,
          `reordered +Leaf ${j} is event .* the order was changed`,
        ],
      ],
    ])(
      'names the entry %s',
      async (_what, change, said) => {
        const [first, second] = await neighbours();
        const broken = await whileChanged([first!, second!], change(first!, second!), () =>
          cli('audit', 'verify'),
        );
        expect(broken.code).toBe(10);
        for (const line of said(first!.leafIndex, second!.leafIndex))
          expect(broken.stderr).toMatch(new RegExp(line));
        expect(done(await cli('audit', 'verify'))).toMatch(/nothing changed/);
      },
      START_TIMEOUT,
    );

    it(
      'names the place at which the log was cut off',
      async () => {
        const all = await leaves('ORDER BY leaf_index DESC LIMIT 2');
        const broken = await whileChanged(all, [], () => cli('audit', 'verify'));
        expect(broken.code).toBe(10);
        const [, end] = /truncated +The log ends at (\d+) leaves/.exec(broken.stderr) ?? [];
        expect(Number(end)).toBe(all.at(-1)!.leafIndex);
        await eventually(async () =>
          expect(done(await cli('audit', 'verify'))).toMatch(/nothing changed/),
        );
      },
      START_TIMEOUT,
    );

    async function leaves(condition: string): Promise<Leaf[]> {
      const database = await connect(shared.pki);
      try {
        const text = `SELECT leaf_index AS "leafIndex", producer, position, leaf, leaf_hash AS "leafHash" FROM audit.leaf ${condition}`;
        const { rows } = await database.query<Leaf>(text);
        return rows.map((row) => ({ ...row, leafIndex: Number(row.leafIndex) }));
      } finally {
        await database.end();
      }
    }

    async function neighbours(): Promise<Leaf[]> {
      const some = await leaves('WHERE leaf_index BETWEEN 5 AND 100 ORDER BY leaf_index');
      const at = some.findIndex(({ producer }, n) => some[n + 1]?.producer === producer);
      return some.slice(at, at + 2);
    }

    /** Runs with other rows in the place of these, behind the service's back, and then puts these back. */
    async function whileChanged<T>(
      before: Leaf[],
      after: Leaf[],
      run: () => Promise<T>,
    ): Promise<T> {
      await replace(before, after);
      try {
        return await run();
      } finally {
        await replace(before, before);
      }
    }

    async function replace(gone: readonly Leaf[], there: readonly Leaf[]): Promise<void> {
      const database = await connect(shared.pki);
      try {
        await database.query('BEGIN');
        const indexes = gone.map(({ leafIndex }) => leafIndex);
        await database.query('DELETE FROM audit.leaf WHERE leaf_index = ANY ($1)', [indexes]);
        for (const { leafIndex, producer, position, leaf, leafHash } of there)
          await database.query('INSERT INTO audit.leaf VALUES ($1, $2, $3, $4, $5)', [
            ...[leafIndex, producer, position, leaf, leafHash],
          ]);
        await database.query('COMMIT');
      } finally {
        await database.end();
      }
    }
  });

  const server = () => ['--server', shared.pki.publicUrl, '--ca-file', shared.pki.rootFile];

  function as(person: string): (...args: string[]) => Promise<ProgramResult> {
    return (...args) => shared.pki.cliOf(person, args);
  }

  async function newUser(name: string, ...roles: string[]) {
    const flags = roles.flatMap((role) => ['--role', role]);
    const { setupToken } = await data<Invited>('user', 'create', name, ...flags);
    done(await as(name)('setup', setupToken, ...server()));
    return as(name);
  }

  async function certificationRequest(name: string): Promise<string> {
    const file = join(shared.pki.home, `${name}.csr`);
    await runOrFail('openssl', [
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`],
      ...['-keyout', `${file}.key`, '-out', file],
    ]);
    return file;
  }
});

interface Listed {
  readonly serialNumber: string;
}

interface Invited {
  readonly setupToken: string;
}

/** What a command that must succeed printed. */
/** A row of the audit log. */
interface Leaf {
  readonly leafIndex: number;
  readonly producer: string;
  readonly position: number;
  readonly leaf: Buffer;
  readonly leafHash: Buffer;
}

function forged(leaf: Buffer): Buffer {
  return Buffer.from(leaf.toString().replace(/"actor":"[^"]*"/, '"actor":"somebody else"'));
}

function done({ code, stdout, stderr }: ProgramResult): string {
  expect([code, stderr]).toEqual([0, expect.anything()]);
  return stdout;
}
