import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Finds the certificates of a compromised key, and remembers which keys have been dealt with. */
export class CaKeyCompromise1795310000000 implements MigrationInterface {
  name = 'CaKeyCompromise1795310000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await queryRunner.query(statement);
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}

const STATEMENTS = [
  `CREATE INDEX certificate_key ON certificate USING hash (spki_sha256) WHERE status = 'valid'`,
  `ALTER TABLE blocked_key ADD COLUMN swept boolean NOT NULL DEFAULT false`,
  `CREATE INDEX blocked_key_unswept ON blocked_key (created_at) WHERE NOT swept`,
];
