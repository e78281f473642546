import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A CA has one key after another, each an issuer of its own. A version from before inserts an issuer without a line: it is its own. One issuer of
 * a line is current, which the index says across processes.
 */
export class CaIssuerGeneration1796100000000 implements MigrationInterface {
  name = 'CaIssuerGeneration1796100000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await queryRunner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

const STATEMENTS = [
  `ALTER TABLE issuer
     ADD COLUMN line text,
     ADD COLUMN generation integer NOT NULL DEFAULT 1 CHECK (generation >= 1),
     ADD COLUMN state text NOT NULL DEFAULT 'current' CHECK (state IN ('prepared', 'current', 'superseded', 'retired')),
     ADD COLUMN confirmed_by text[] NOT NULL DEFAULT '{}',
     ADD COLUMN superseded_at bigint`,
  'CREATE UNIQUE INDEX issuer_generation ON issuer (coalesce(line, issuer_id), generation)',
  `CREATE UNIQUE INDEX issuer_current ON issuer (coalesce(line, issuer_id)) WHERE state = 'current'`,
];
