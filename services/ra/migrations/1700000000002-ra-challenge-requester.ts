import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Requesters take turns in the queue of challenges: each one's queue is a part of one index. */
export class RaChallengeRequester1700000000002 implements MigrationInterface {
  readonly name = 'RaChallengeRequester1700000000002';

  async up(queryRunner: QueryRunner): Promise<void> {
    // The default is for the version before this one, which may still be running.
    await queryRunner.query(`ALTER TABLE challenge ADD COLUMN requester text NOT NULL DEFAULT ''`);
    await queryRunner.query(`UPDATE challenge c SET requester = a.requester
      FROM authorization_ a WHERE a.authorization_id = c.authorization_id AND c.status IN ('pending', 'processing')`);
    await queryRunner.query(
      `CREATE INDEX challenge_queue ON challenge (requester, due_at) WHERE status = 'processing'`,
    );
    await queryRunner.query('DROP INDEX challenge_due');
  }

  async down(): Promise<void> {
    throw new Error('migrations only go forward');
  }
}
