import type { MigrationInterface, QueryRunner } from 'typeorm';

/** When the CA was first asked for a request's certificate, or may have been: 0 while it certainly was not. */
export class RaRequestAsked1700000000003 implements MigrationInterface {
  readonly name = 'RaRequestAsked1700000000003';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'ALTER TABLE enrolment_request ADD COLUMN asked_at bigint NOT NULL DEFAULT 0',
    );
    await queryRunner.query(
      `UPDATE enrolment_request SET asked_at = created_at WHERE status = 'approved'`,
    );
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}
