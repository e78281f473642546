import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { MODES, type PkiProcess, startPki } from '@gigvault/testkit/pki-process';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type ExternalPostgres, PASSWORD, startExternalPostgres } from './external-postgres.ts';
import { runUp } from './up-command.ts';
import { START_TIMEOUT } from './use-pki.ts';

describe.each([MODES, [...MODES].reverse()])(
  'two GigVaults on one PostgreSQL server, %s and %s',
  (...modes) => {
    let server: ExternalPostgres;
    let one: PkiProcess;
    let two: PkiProcess;
    let urls: { readonly one: string; readonly two: string };

    beforeAll(async () => {
      server = await startExternalPostgres();
      // The right that docs/operations/database.md names, and no more.
      await server.run(`CREATE ROLE hosted LOGIN CREATEROLE PASSWORD '${PASSWORD}'`);
      await server.run(`CREATE ROLE nobody LOGIN PASSWORD '${PASSWORD}'`);
      await server.run('CREATE DATABASE "vault-two" OWNER hosted');
      const verified = `?sslmode=verify-full&sslrootcert=${server.certificate}`;
      urls = { one: server.url('vault_one'), two: server.url('vault-two', verified, 'hosted') };
      two = await startPki(modes[1], '--database-url', urls.two);
      one = await startPki(modes[0], '--database-url', urls.one);
    }, 2 * START_TIMEOUT);

    afterAll(async () => {
      await one?.dispose();
      await two?.dispose();
      await server?.stop();
    }, START_TIMEOUT);

    const issues = async (pki: PkiProcess) => {
      const { code, stderr } = await pki.cli('cert', 'create', `a${Math.random()}.localhost`);
      expect([stderr, code]).toEqual([expect.any(String), 0]);
    };
    /** How many of the pools' connections are protected. */
    const connections = (database: string) =>
      server.run(
        `SELECT ssl, count(*) > 0 AS any FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
        WHERE datname = '${database}' AND usename LIKE '%\\_ca' GROUP BY ssl`,
      );

    it('run side by side, each in its own database, over TLS where it was asked for', async () => {
      await issues(one);
      await issues(two);
      expect(await connections('vault_one')).toEqual([{ ssl: false, any: true }]);
      expect(await connections('vault-two')).toEqual([{ ssl: true, any: true }]);
      for (const database of ['vault_one', 'vault-two'])
        expect(await server.run('SELECT FROM ca.certificate LIMIT 1', database)).toHaveLength(1);
      for (const pki of [one, two]) expect(existsSync(join(pki.dataDir, 'pg'))).toBe(false);
    });

    // The first process speaks with the server before there is another: one order is enough.
    if (modes[0] === 'split') return;

    it(
      'another’s database is refused before anything is changed',
      async () => {
        await one.stop();
        const before = await server.run('SELECT rolname, rolpassword FROM pg_authid ORDER BY 1');
        const fresh = join(one.home, 'fresh');
        const { code, stderr } = await one.tryStart('--data-dir', fresh);
        expect(stderr).toContain(
          `The database "vault_one" belongs to another GigVault (${one.dataDir} on ${hostname()}). Nothing was changed.`,
        );
        expect([code, stderr.trim().split('\n')]).toEqual([2, [expect.any(String)]]);
        expect(existsSync(join(fresh, 'secrets'))).toBe(false);
        expect(await server.run('SELECT rolname, rolpassword FROM pg_authid ORDER BY 1')).toEqual(
          before,
        );
        await one.start();
        await issues(one);
        await issues(two);
      },
      START_TIMEOUT,
    );

    it(
      'a data directory does not forget its database',
      async () => {
        await one.stop();
        const stderr = await refused('--database-url', 'env://GIGVAULT_NOTHING');
        expect(stderr).toMatch('secret env://GIGVAULT_NOTHING is not there');
        expect(await refused('--database-url', server.url('elsewhere'))).toMatch(
          'the database "elsewhere" holds nothing of them. Nothing was changed.',
        );
        expect(await server.run("SELECT FROM pg_database WHERE datname = 'elsewhere'")).toEqual([]);
        const { code, stderr: unnamed } = await runUp(one, '--data-dir', one.dataDir);
        expect([code, unnamed]).toEqual([
          2,
          expect.stringMatching(
            `uses the database "vault_one" at localhost:${server.port}: give --database-url`,
          ),
        ]);
        expect(existsSync(join(one.dataDir, 'pg'))).toBe(false);
        const [owner, away] = [
          join(one.dataDir, 'secrets', 'database-owner'),
          join(one.home, 'away'),
        ];
        renameSync(owner, away);
        expect(await refused()).toMatch('The database "vault_one" belongs to another GigVault');
        renameSync(away, owner);
        // A service's password is set again.
        rmSync(join(one.dataDir, 'secrets', 'database-ca'));
        const secret = join(one.home, 'url');
        writeFileSync(secret, `${urls.one}\n`, { mode: 0o600 });
        await one.start('--database-url', `file://${secret}`);
        await issues(one);
      },
      START_TIMEOUT,
    );

    it.each<readonly [string, () => string, number, string]>([
      [
        'a wrong password',
        () => urls.one.replace(/:[^:@]*@/, ':wrong@'),
        2,
        'authentication failed',
      ],
      ['no password', () => urls.one.replace(/:[^:@]*@/, '@'), 2, 'wants a password'],
      [
        'a database that is not there and may not be made',
        () => server.url('nowhere', '', 'nobody'),
        2,
        'CREATE DATABASE "nowhere" OWNER "nobody"',
      ],
      ['no right', () => server.url('vault-two', '', 'nobody'), 4, 'does not let "nobody" prepare'],
      ['nobody there', () => 'postgres://u:p@127.0.0.1:1/gigvault', 9, 'cannot be reached: '],
      ['another CA', () => server.url('x', '?sslmode=verify-full'), 2, 'do not agree on TLS'],
      [
        'another name',
        () => `${urls.two.replace('localhost', '127.0.0.1').replace('vault-two', 'x')}`,
        2,
        "IP: 127.0.0.1 is not in the cert's list",
      ],
      ['something else in it', () => server.url('theirs'), 2, 'holds tables of something else'],
      [
        'a GigVault that does not say whose it is',
        () => server.url('silent'),
        2,
        'COMMENT ON DATABASE "silent" IS \'GigVault',
      ],
    ])(
      'refuses %s in one line',
      async (_what, url, exit, said) => {
        await two.stop();
        if (url().includes('/theirs')) {
          await server.run('CREATE DATABASE theirs');
          await server.run('CREATE TABLE thing (id int)', 'theirs');
        }
        if (url().includes('/silent')) {
          await server.run('CREATE DATABASE silent');
          await server.run('CREATE SCHEMA provisioning', 'silent');
        }
        const fresh = join(two.home, 'fresh');
        rmSync(fresh, { recursive: true, force: true });
        const { code, stderr } = await two.tryStart('--data-dir', fresh, '--database-url', url());
        expect(stderr).toContain(said);
        expect([code, stderr.trim().split('\n')]).toEqual([exit, [expect.any(String)]]);
      },
      START_TIMEOUT,
    );

    it(
      'is told in one line when its database is gone',
      async () => {
        await one.stop();
        await server.run('DROP DATABASE vault_one');
        expect(await refused()).toMatch('the database "vault_one" holds nothing of them.');
      },
      START_TIMEOUT,
    );

    async function refused(...flags: string[]): Promise<string> {
      const { code, stderr } = await one.tryStart(...flags);
      expect([code, stderr.trim().split('\n')]).toEqual([2, [expect.any(String)]]);
      return stderr;
    }
  },
);
