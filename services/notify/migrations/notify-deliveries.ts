import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What waits for webhooks. `due_at` null: given up. */
export class NotifyDeliveries1796000000100 implements MigrationInterface {
  readonly name = 'NotifyDeliveries1796000000100';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE delivery (
        delivery_id uuid PRIMARY KEY,
        webhook text NOT NULL,
        body text NOT NULL,
        attempts integer NOT NULL DEFAULT 0,
        created_at bigint NOT NULL,
        due_at bigint,
        failure text
      )`);
    // Answers the count by itself as well.
    await queryRunner.query('CREATE INDEX delivery_turn ON delivery (webhook, due_at)');
  }

  async down(): Promise<void> {
    throw new Error('migrations go forward only');
  }
}
