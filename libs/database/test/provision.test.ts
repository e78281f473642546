import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLog } from '@gigvault/telemetry/log';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../src/embedded-postgres.ts';
import { createEventCursorTable } from '../src/event-log.ts';
import { migrateService, migrateServices } from '../src/migrate.ts';
import type { Migration } from '../src/migration.ts';
import { servicePool } from '../src/pools.ts';
import { ownerConnection, type ProvisionOptions, provisionDatabase } from '../src/provision.ts';

class NoteInit1700000000001 implements MigrationInterface {
  readonly name = 'NoteInit1700000000001';
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('CREATE TABLE note (id bigint PRIMARY KEY, text text NOT NULL)');
    await createEventCursorTable(queryRunner);
  }
  async down(): Promise<void> {}
}

class NoteColour1700000000002 implements MigrationInterface {
  readonly name = 'NoteColour1700000000002';
  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE note ADD COLUMN colour text');
  }
  async down(): Promise<void> {}
}

let directory: string;
let postgres: EmbeddedPostgres;
let options: ProvisionOptions;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'gigvault-provision-'));
  postgres = await startEmbeddedPostgres({ dataDir: join(directory, 'pg'), log: silentLog });
  options = {
    admin: {
      host: postgres.host,
      port: postgres.port,
      user: postgres.adminUser,
      password: postgres.adminPassword,
      database: 'postgres',
    },
    database: 'gigvault',
    services: ['ca', 'audit'],
    passwords: { ca: 'ca-secret', audit: 'audit-secret' },
    ownerPassword: 'owner-secret',
  };
  await provisionDatabase(options);
});

afterAll(async () => {
  await postgres.stop();
  await rm(directory, { recursive: true, force: true });
});

function migrate(service: string, migrations: Migration[] = [NoteInit1700000000001]) {
  return migrateService({
    owner: ownerConnection(options),
    database: 'gigvault',
    service,
    migrations,
  });
}

function poolOf(service: 'ca' | 'audit', password = options.passwords[service]!) {
  const { host, port } = options.admin;
  return servicePool({
    connection: { host, port },
    database: 'gigvault',
    service,
    password,
    log: silentLog,
  });
}

async function asService<T>(service: 'ca' | 'audit', sql: string): Promise<T[]> {
  const pool = poolOf(service);
  try {
    return (await pool.query(sql)).rows as T[];
  } finally {
    await pool.end();
  }
}

describe('provisionDatabase', () => {
  it('is idempotent, and cheap when nothing is to be done', async () => {
    const start = performance.now();
    await provisionDatabase(options);
    expect(performance.now() - start).toBeLessThan(200);
    await provisionDatabase({
      ...options,
      services: ['ca', 'audit', 'crl'],
      passwords: { ...options.passwords, crl: 'x' },
    });
    await provisionDatabase(options);
  });

  it('sets changed passwords', async () => {
    await provisionDatabase({ ...options, passwords: { ...options.passwords, ca: 'changed' } });
    const pool = poolOf('ca', 'changed');
    expect((await pool.query('SELECT current_user AS name')).rows).toEqual([
      { name: 'gigvault_ca' },
    ]);
    await pool.end();
    await provisionDatabase(options);
    await expect(asService('ca', 'SELECT 1')).resolves.toHaveLength(1);
  });

  it('lets nobody in without the password, on the socket', async () => {
    const pool = poolOf('ca', 'wrong');
    await expect(pool.query('SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    await pool.end();
  });

  it('works with an administrator that is no superuser', async () => {
    const root = new Client(options.admin);
    await root.connect();
    await root.query("CREATE ROLE hosted LOGIN CREATEDB CREATEROLE PASSWORD 'hosted'");
    await root.end();
    const hosted = {
      ...options,
      admin: { ...options.admin, user: 'hosted', password: 'hosted' },
      database: 'hosted_vault',
    };
    await provisionDatabase(hosted);
    await provisionDatabase(hosted);
    const ran = await migrateService({
      owner: ownerConnection(hosted),
      database: 'hosted_vault',
      service: 'ca',
      migrations: [NoteInit1700000000001],
    });
    expect(ran).toEqual(['ca/NoteInit1700000000001']);
  });
});

describe('whose database it is', () => {
  const of = (id: string, database: string, more: Partial<ProvisionOptions> = {}) =>
    provisionDatabase({
      ...options,
      database,
      ownerPassword: id,
      installation: { id, place: `/data/${id}` },
      ...more,
    });
  const [mine, theirs] = ['00000000000000aa', '00000000000000bb'] as const;

  async function asAdmin(sql: string, database = 'postgres'): Promise<unknown[]> {
    const admin = new Client({ ...options.admin, database });
    await admin.connect();
    try {
      return (await admin.query(sql)).rows as unknown[];
    } finally {
      await admin.end();
    }
  }

  it('is asked before anything is changed', async () => {
    await of(mine, 'owned');
    const roles = () => asAdmin('SELECT rolname, rolpassword FROM pg_authid ORDER BY 1');
    const before = await roles();
    for (const more of [{}, { mustBeThere: true }])
      await expect(of(theirs, 'owned', more)).rejects.toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(`belongs to another GigVault (/data/${mine})`),
      });
    expect(await roles()).toEqual(before);
    await of(mine, 'owned', { mustBeThere: true });
  });

  it('is one’s only, when two begin together', async () => {
    const both = await Promise.allSettled([of(mine, 'raced'), of(theirs, 'raced')]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  it('is told by the password where the comment was lost, and by the comment where the password was', async () => {
    await of(mine, 'restored');
    await asAdmin('COMMENT ON DATABASE restored IS NULL');
    await expect(of(theirs, 'restored')).rejects.toThrow('does not say whose');
    await of(mine, 'restored');
    await asAdmin("ALTER ROLE restored_owner PASSWORD 'another'");
    await of(mine, 'restored', { mustBeThere: true });
    await expect(of(theirs, 'restored')).rejects.toThrow('belongs to another');
  });

  it('leaves a comment that is there, and never takes what is not empty', async () => {
    await asAdmin('CREATE DATABASE kept');
    await asAdmin("COMMENT ON DATABASE kept IS 'ask Ann'");
    await of(mine, 'kept');
    expect(
      await asAdmin(
        "SELECT shobj_description(oid, 'pg_database') AS said FROM pg_database WHERE datname = 'kept'",
      ),
    ).toEqual([{ said: `ask Ann GigVault ${mine} (/data/${mine})` }]);
    await asAdmin('CREATE DATABASE used');
    await asAdmin('CREATE TABLE thing (id int)', 'used');
    await expect(of(mine, 'used')).rejects.toThrow('holds tables of something else');
  });

  it('is not made anew where something should be in it', async () => {
    await expect(of(mine, 'gone', { mustBeThere: true })).rejects.toThrow('holds nothing of them');
    await asAdmin('CREATE DATABASE hollow');
    await expect(of(mine, 'hollow', { mustBeThere: true })).rejects.toThrow(
      'holds nothing of them',
    );
    expect(
      await asAdmin("SELECT FROM pg_roles WHERE rolname IN ('gone_owner', 'hollow_owner')"),
    ).toEqual([]);
  });
});

describe('migrateService', () => {
  it('runs what is missing, once, also when several processes start together', async () => {
    const runs = await Promise.all([migrate('ca'), migrate('ca'), migrate('ca')]);
    expect(runs.flat()).toEqual(['ca/NoteInit1700000000001']);
    expect(await migrate('ca', [NoteInit1700000000001, NoteColour1700000000002])).toEqual([
      'ca/NoteColour1700000000002',
    ]);
    const both = { service: 'ca', migrations: [NoteInit1700000000001, NoteColour1700000000002] };
    const owner = ownerConnection(options);
    const start = performance.now();
    expect(await migrateServices({ owner, database: 'gigvault', services: [both] })).toEqual([]);
    expect(performance.now() - start).toBeLessThan(200);
  });
});

describe('a migration that fails', () => {
  class NoteBroken1700000000003 implements MigrationInterface {
    readonly name = 'NoteBroken1700000000003';
    async up(queryRunner: QueryRunner): Promise<void> {
      await queryRunner.query('CREATE TABLE half (id bigint)');
      await queryRunner.query('CREATE TABLE note (id bigint)');
    }
    async down(): Promise<void> {}
  }

  it('leaves nothing of itself and does not count as run', async () => {
    await migrate('ca');
    const together = [NoteInit1700000000001, NoteBroken1700000000003];
    for (let attempt = 0; attempt < 2; attempt++)
      await expect(migrate('ca', together)).rejects.toMatchObject({ code: '42P07' });
    expect(await asService('ca', "SELECT to_regclass('half') AS half")).toEqual([{ half: null }]);
  });
});

describe('a runtime role', () => {
  beforeAll(() =>
    Promise.all([
      migrate('ca', [NoteInit1700000000001, NoteColour1700000000002]),
      migrate('audit'),
    ]),
  );

  it('reads and writes its own tables, bigint as numbers', async () => {
    await asService('ca', "INSERT INTO note VALUES (9007199254740991, 'a') ON CONFLICT DO NOTHING");
    expect(await asService('ca', 'SELECT id FROM note')).toEqual([{ id: Number.MAX_SAFE_INTEGER }]);
    await asService('ca', "UPDATE note SET text = 'b'");
    await asService('ca', 'DELETE FROM note');
  });

  it.each([
    ['see another schema', 'SELECT * FROM audit.note'],
    ['create a table', 'CREATE TABLE more (id int)'],
    ['create a table in public', 'CREATE TABLE public.more (id int)'],
    ['create a temporary table', 'CREATE TEMPORARY TABLE more (id int)'],
    ['alter a table', 'ALTER TABLE note ADD COLUMN x int'],
    ['drop a table', 'DROP TABLE note'],
    ['truncate a table', 'TRUNCATE note'],
    ['see how it was provisioned', 'SELECT * FROM provisioning.state'],
    ['become the owner', 'SET ROLE gigvault_owner'],
  ])('cannot %s', async (_what, sql) => {
    await expect(asService('ca', sql)).rejects.toMatchObject({ code: '42501' });
  });

  it('of audit appends, and changes nothing but its cursors', async () => {
    await asService('audit', "INSERT INTO note VALUES (1, 'a')");
    await expect(asService('audit', "UPDATE note SET text = 'b'")).rejects.toMatchObject({
      code: '42501',
    });
    await expect(asService('audit', 'DELETE FROM note')).rejects.toMatchObject({ code: '42501' });
    await asService('audit', "INSERT INTO event_cursor (producer, position) VALUES ('ca', 1)");
    await asService('audit', 'UPDATE event_cursor SET position = 2');
  });
});
