import {
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { processesOf } from '@gigvault/testkit/leftovers';
import { type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runUp } from './up-command.ts';
import { START_TIMEOUT } from './use-pki.ts';

describe('a data directory that has lost something', () => {
  let pki: PkiProcess;

  beforeAll(async () => {
    pki = await startPki('one process');
    await pki.stop();
  }, START_TIMEOUT);

  afterAll(() => pki?.dispose(), START_TIMEOUT);

  it.each<readonly [readonly string[], string, (readonly string[])?]>([
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
    [['services/keymgr/secrets'], 'keymgr-master.key is gone'],
  ])(
    '%j: nothing is made anew, and it says what to restore %s %j',
    async (lost, said, flags = []) => {
      for (const [i, name] of lost.entries())
        renameSync(join(pki.dataDir, name), join(pki.home, `away-${i}`));
      try {
        const before = contents('root', 'services/keymgr');
        const { code, stderr } = await pki.tryStart(...flags);
        expect(stderr).toContain(said);
        const lines = stderr.trim().split('\n');
        expect(lines.filter((line) => !/^ *✔/.test(line))).toHaveLength(1);
        expect(code).toBe(said.includes('master') ? 9 : 2);
        expect(contents('root', 'services/keymgr')).toEqual(before);
        expect(existsSync(join(pki.dataDir, 'pg'))).toBe(!lost.includes('pg'));
        expect(processesOf(pki.dataDir, 'services and database')).toEqual([]);
      } finally {
        for (const [i, name] of lost.entries()) {
          rmSync(join(pki.dataDir, name), { recursive: true, force: true });
          renameSync(join(pki.home, `away-${i}`), join(pki.dataDir, name));
        }
      }
    },
    START_TIMEOUT,
  );

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

  it.each([
    ['made its keys', []],
    ['written the root key', ['root.key']],
    ['written some certificates', ['root.key', 'plan.yaml', 'root.crl', 'issuing.crt']],
  ])(
    'heals by itself where a first start died that had %s',
    async (_what, files) => {
      const fresh = join(pki.home, 'fresh');
      rmSync(fresh, { recursive: true, force: true });
      const asked = await runUp(pki, '--data-dir', fresh, '--offline-root', join(pki.home, 'usb'));
      expect(asked.code).toBe(8);
      rmSync(join(pki.home, 'usb'), { recursive: true });
      // Keys and database are those of a start that has not got to its root.
      for (const name of readdirSync(join(fresh, 'root'))) rmSync(join(fresh, 'root', name));
      for (const name of files) cpSync(join(pki.dataDir, 'root', name), join(fresh, 'root', name));
      writeFileSync(join(fresh, 'root', 'left.draft'), '');
      await pki.start('--data-dir', fresh);
      expect(pki.errors()).toMatch(/✔ root CA .* offline after this step/);
      await pki.stop();
    },
    START_TIMEOUT,
  );

  function contents(...folders: string[]): Record<string, string> {
    return Object.fromEntries(
      folders
        .map((folder) => join(pki.dataDir, folder))
        .filter(existsSync)
        .flatMap((folder) =>
          readdirSync(folder, { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map((entry) => join(entry.parentPath, entry.name)),
        )
        .map((path) => [path, readFileSync(path, 'utf8')]),
    );
  }
});
