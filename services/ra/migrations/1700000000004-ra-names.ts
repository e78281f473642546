import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What people are called who ask and who vote, as they were when they did; null for ACME accounts, and for what is older. */
export class RaNames1700000000004 implements MigrationInterface {
  readonly name = 'RaNames1700000000004';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query('ALTER TABLE enrolment_request ADD COLUMN requester_name text');
    await queryRunner.query('ALTER TABLE vote ADD COLUMN actor_name text');
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}
