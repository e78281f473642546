import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Every service asks every few seconds for the keys that were revoked lately. */
export class AuthRevokedKeys1700000000001 implements MigrationInterface {
  readonly name = 'AuthRevokedKeys1700000000001';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      'CREATE INDEX api_key_revoked ON api_key (revoked_at) WHERE revoked_at IS NOT NULL',
    );
  }

  async down(): Promise<void> {
    throw new Error('Migrations go forward only.');
  }
}
