import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Certificates that are in force, by their end: they are counted, and it is seen which end soon, without a scan of the table. */
export class CaCertificateEnd1764200000000 implements MigrationInterface {
  name = 'CaCertificateEnd1764200000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE INDEX certificate_end ON certificate (issuer_id, not_after) WHERE status = 'valid'`,
    );
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
