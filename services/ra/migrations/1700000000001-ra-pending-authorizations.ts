import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Counting a requester's pending authorizations reads one index. */
export class RaPendingAuthorizations1700000000001 implements MigrationInterface {
  readonly name = 'RaPendingAuthorizations1700000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE INDEX authorization_pending ON authorization_ (requester, expires_at) WHERE status = 'pending'`,
    );
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}
