import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Finds the keys by which a backend is recognised, those of services first. */
export class KeymgrTellingKeys1796900000000 implements MigrationInterface {
  readonly name = 'KeymgrTellingKeys1796900000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(
      `CREATE INDEX key_telling ON key (backend, (purposes = '{}'), key_id) WHERE destroy_at IS NULL AND state <> 'destroyed'`,
    );
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}
