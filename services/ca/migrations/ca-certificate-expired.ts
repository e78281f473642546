import type { MigrationInterface, QueryRunner } from 'typeorm';

/** The index by the end serves lists of what has expired as well: it goes on with the order of their pages. */
export class CaCertificateExpired1796000000000 implements MigrationInterface {
  name = 'CaCertificateExpired1796000000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('DROP INDEX certificate_end');
    await queryRunner.query(
      `CREATE INDEX certificate_end ON certificate (not_after, serial_number, issuer_id) WHERE status = 'valid'`,
    );
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
