import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { checkPki, connect } from '@gigvault/testkit/check-pki';
import { processesOf } from '@gigvault/testkit/leftovers';
import { MODES, type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { runOrFail } from '@gigvault/testkit/run-program';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runUp } from './up-command.ts';
import { START_TIMEOUT } from './use-pki.ts';

/** What is lost, what is said, and flags of the start. `*` is the issuing CA's key. */
const LOSSES: readonly (readonly [readonly string[], string, (readonly string[])?])[] = [
  [['root/root.crt'], 'has lost root.crt'],
  [['root/root.crt', 'tls'], 'has lost root.crt'],
  [['root/root.crt'], 'has lost root.crt', ['--offline-root', 'usb']],
  [['root/root.crt', 'tls'], 'has lost root.crt', ['--offline-root', 'usb']],
  [['root/root.crt', 'root/root.key', 'tls'], 'has lost root.crt'],
  [['root/issuing.crt'], 'has lost issuing.crt'],
  [['root/services.crt', 'root/plan.yaml'], 'has lost plan.yaml, services.crt'],
  [['pg'], 'pg, is gone. Nothing was changed'],
  [['pg', 'root/root.crt', 'tls'], 'pg, is gone. Nothing was changed'],
  [['pg', 'root', 'tls'], 'pg, is gone. Nothing was changed'],
  [['pg/cluster'], 'pg, is gone. Nothing was changed'],
  [['pg/cluster/PG_VERSION'], 'pg, is gone. Nothing was changed'],
  [['pg/admin-password'], 'has lost admin-password'],
  [['root/root.crl'], 'has lost root.crl'],
  [['services'], 'services/keymgr/keys has lost every key'],
  [['services/keymgr'], 'services/keymgr/keys has lost every key'],
  [['services/keymgr/keys', 'tls'], 'services/keymgr/keys has lost every key'],
  [['services/keymgr/keys/*'], '.p8 (ca-issuing). Nothing was changed. Restore it from a backup'],
  [['services/keymgr/secrets'], 'keymgr-master.key is gone'],
];

const FOLDERS = ['all folders of it', ['tls', 'secrets', 'logs', '../config']] as const;

/** How far a first start had got when it died, and the files of the root that it left. */
const DEATHS: readonly (readonly [string, readonly string[]])[] = [
  ['made its keys', []],
  ['written the root key', ['root.key']],
  ['written some certificates', ['root.key', 'plan.yaml', 'root.crl', 'issuing.crt']],
];

describe.each(MODES)('a data directory that has lost something, %s', (mode) => {
  let pki: PkiProcess;
  let issuingKey: string;

  beforeAll(async () => {
    pki = await startPki(mode);
    const database = await connect(pki);
    const { rows } = await database
      .query<{ handle: string }>("SELECT handle FROM keymgr.key WHERE key_id = 'ca-issuing'")
      .finally(() => database.end());
    issuingKey = `${rows[0]?.handle}.p8`;
    await pki.stop();
  }, START_TIMEOUT);

  afterAll(() => pki?.dispose(), START_TIMEOUT);

  // It is found before there is any process but the first: in split mode once is enough.
  it.each(mode === 'split' ? LOSSES.slice(0, 1) : LOSSES)(
    '%j: nothing is made anew, and it says what to restore %s %j',
    async (names, said, flags = []) => {
      const lost = names.map((name) => name.replace('*', issuingKey));
      for (const [i, name] of lost.entries())
        renameSync(join(pki.dataDir, name), join(pki.home, `away-${i}`));
      try {
        const before = contents();
        const { code, stderr } = await pki.tryStart(...flags);
        expect(stderr).toContain(said);
        const lines = stderr.trim().split('\n');
        expect(lines.filter((line) => !/^ *✔/.test(line))).toHaveLength(1);
        expect(code).toBe(said.includes('master') ? 9 : 2);
        expect(contents()).toEqual(before);
        for (const name of lost) expect(existsSync(join(pki.dataDir, name))).toBe(false);
        expect(processesOf(pki.dataDir, 'services and database')).toEqual([]);
      } finally {
        for (const [i, name] of lost.entries())
          renameSync(join(pki.home, `away-${i}`), join(pki.dataDir, name));
      }
    },
    START_TIMEOUT,
  );

  // The main process refuses it; that the same CA is served is seen below as well, in both modes.
  if (mode === 'one process') {
    it(
      'another configuration than the certificates’ is refused before the database is started',
      async () => {
        const { code, stderr } = await pki.tryStart('--http-port', '1');
        expect([code, stderr]).toEqual([
          2,
          expect.stringMatching(
            `^error: The certificates of .*: start with --http-port ${pki.ports.http}`,
          ),
        ]);
        const nowhere = await runUp(pki, '--data-dir', '', '--check-config');
        expect([nowhere.code, nowhere.stderr]).toEqual([
          2,
          expect.stringMatching(/dataDir {3}must not be empty/),
        ]);
      },
      START_TIMEOUT,
    );

    it(
      'serves the same CA once it has everything again',
      async () => {
        const root = readFileSync(pki.rootFile, 'utf8');
        await pki.start();
        expect(readFileSync(pki.rootFile, 'utf8')).toBe(root);
        await pki.stop();
      },
      START_TIMEOUT,
    );
  }

  // What the log shows is the same in both modes, and these are three starts.
  if (mode === 'one process')
    it(
      'an older database is exposed by what an operator kept of the audit log — covers: T65, T76',
      async () => {
        const pg = join(pki.dataDir, 'pg');
        const away = (name: string) => join(pki.home, name);
        const seen = async () =>
          JSON.parse((await pki.cli('audit', 'verify', '-o', 'json')).stdout) as {
            treeSize: number;
          };
        const create = async (name: string) => {
          const { code, stderr } = await pki.cli('cert', 'create', name);
          expect([code, stderr]).toEqual([0, expect.anything()]);
        };
        await pki.start();
        const backup = await seen();
        writeFileSync(away('backup.json'), JSON.stringify(backup));
        await pki.stop();
        await runOrFail('cp', ['-a', pg, away('pg-backup')]);
        await pki.start();
        for (const name of ['one', 'two', 'three', 'four']) await create(`${name}.localhost`);
        const kept = await seen();
        await pki.stop();
        renameSync(pg, away('pg-newer'));
        renameSync(away('pg-backup'), pg);
        await pki.start();
        const verify = () => pki.cli('audit', 'verify', '--checkpoint', away('backup.json'));
        try {
          const cut = await verify();
          expect(cut.code).toBe(10);
          const [, end] =
            /truncated +The log ends at (\d+) leaves, but a checkpoint has (\d+)/.exec(
              cut.stderr,
            ) ?? [];
          expect(Number(end)).toBeGreaterThanOrEqual(backup.treeSize);
          expect(Number(end)).toBeLessThan(kept.treeSize);
          // The log goes on from the backup, and is as long as the lost one in the end: a fork.
          const fork = new RegExp(
            `root-differs +The leaves ${backup.treeSize} to ${kept.treeSize - 1} do not give the root`,
          );
          for (let n = 0; !fork.test((await verify()).stderr); n += 1) {
            expect(n).toBeLessThan(20);
            await create(`again${n}.localhost`);
          }
        } finally {
          await pki.stop();
          rmSync(pg, { recursive: true });
          renameSync(away('pg-newer'), pg);
        }
      },
      2 * START_TIMEOUT,
    );

  it.each<readonly [string, readonly string[]]>([
    // In split mode the files of other processes are among the single ones.
    ...(mode === 'one process' ? [FOLDERS] : []),
    [
      'single files',
      [
        ...['tls/gigvault.key', 'tls/public.crt', 'tls/services-ca.crt', 'logs/gigvault.log'],
        ...['secrets/admin-token', 'secrets/database-owner', 'secrets/database-ca'],
        ...(mode === 'split' ? ['tls/ra.key', 'tls/edge.crt', 'services/ca.yaml'] : []),
        '../config/gigvault/contexts/local/api-key',
      ],
    ],
  ])(
    'makes again what can be made again: %s',
    async (_what, lost) => {
      const root = readFileSync(pki.rootFile, 'utf8');
      // Each is there: what is never made is never lost.
      for (const name of lost) rmSync(join(pki.dataDir, name), { recursive: true });
      await pki.start();
      try {
        for (const name of lost)
          expect([name, existsSync(join(pki.dataDir, name))]).toEqual([name, true]);
        expect(readFileSync(pki.rootFile, 'utf8')).toBe(root);
        expect((await pki.cli('cert', 'create', `n${lost.length}.localhost`)).code).toBe(0);
        expect((await checkPki(pki)).findings).toEqual([]);
      } finally {
        await pki.stop();
      }
    },
    START_TIMEOUT,
  );

  // The main process does it before it starts the others.
  if (mode === 'one process') {
    it.each(DEATHS)(
      'heals by itself where a first start died that had %s',
      async (_what, files) => {
        const fresh = join(pki.home, 'fresh');
        rmSync(fresh, { recursive: true, force: true });
        const asked = await runUp(
          pki,
          '--data-dir',
          fresh,
          '--offline-root',
          join(pki.home, 'usb'),
        );
        expect(asked.code).toBe(8);
        rmSync(join(pki.home, 'usb'), { recursive: true });
        // Keys and database are those of a start that has not got to its root.
        for (const name of readdirSync(join(fresh, 'root'))) rmSync(join(fresh, 'root', name));
        for (const name of files)
          cpSync(join(pki.dataDir, 'root', name), join(fresh, 'root', name));
        writeFileSync(join(fresh, 'root', 'left.draft'), '');
        await pki.start('--data-dir', fresh);
        expect(pki.errors()).toMatch(/✔ root CA .* offline after this step/);
        await pki.stop();
      },
      START_TIMEOUT,
    );

    it(
      'a start that fails before anything was made leaves nothing',
      async () => {
        const fresh = join(pki.home, 'not', 'there');
        const port = `${pki.ports.https}`;
        for (const flags of [
          ['--http-port', port],
          ['--database-url', 'env://GIGVAULT_NOTHING'],
          ['--database-url', 'postgres://u:p@localhost/postgres'],
        ]) {
          expect((await pki.tryStart('--data-dir', fresh, ...flags)).code).toBe(2);
          expect(existsSync(join(pki.home, 'not'))).toBe(false);
        }
        mkdirSync(fresh, { recursive: true, mode: 0o700 });
        writeFileSync(join(fresh, 'secrets'), '');
        const { code, stderr } = await pki.tryStart('--data-dir', fresh);
        expect([code, stderr]).toEqual([2, expect.stringMatching(/secrets cannot be used/)]);
        expect(readdirSync(fresh)).toEqual(['secrets']);
      },
      START_TIMEOUT,
    );
  }

  /** Files with their content and folders, but for the log and what the database has for itself. */
  function contents(): Record<string, string> {
    return Object.fromEntries(
      readdirSync(pki.dataDir, { recursive: true, withFileTypes: true })
        .map((entry) => ({ entry, path: join(entry.parentPath, entry.name) }))
        .filter(({ path }) => !/\/(pg|logs)\//.test(path.slice(pki.dataDir.length)))
        .map(({ entry, path }) => [path, entry.isFile() ? readFileSync(path, 'utf8') : '']),
    );
  }
});
