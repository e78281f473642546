import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The entries of a shard, joined in runs that successive lists share: a part of a CRL has its octets, or is a run. Runs never change. One
 * whose entries changed is replaced by another, and stays until the last CRL that was made of it goes.
 */
export class CrlRuns1764300000000 implements MigrationInterface {
  name = 'CrlRuns1764300000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE crl_run (
        run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        issuer_id text NOT NULL,
        crl_shard integer NOT NULL,
        first_seq bigint NOT NULL,
        last_seq bigint NOT NULL,
        entry_count integer NOT NULL,
        octets bytea NOT NULL,
        replaced boolean NOT NULL DEFAULT false
      )`);
    // Signatures and serial numbers do not compress; trying costs more than writing.
    await queryRunner.query('ALTER TABLE crl_run ALTER COLUMN octets SET STORAGE EXTERNAL');
    await queryRunner.query(
      'CREATE UNIQUE INDEX crl_run_in_use ON crl_run (issuer_id, crl_shard, last_seq) WHERE NOT replaced',
    );
    await queryRunner.query(
      'CREATE INDEX crl_run_replaced ON crl_run (issuer_id, crl_shard) WHERE replaced',
    );
    await queryRunner.query(`
      ALTER TABLE crl_part
        ALTER COLUMN octets DROP NOT NULL,
        ADD COLUMN run_id bigint REFERENCES crl_run,
        ADD CONSTRAINT crl_part_octets CHECK (num_nonnulls(octets, run_id) = 1)`);
    await queryRunner.query('CREATE INDEX crl_part_of_run ON crl_part (run_id)');
    await replaceRunsOfChangedEntries(queryRunner);
  }

  async down(): Promise<void> {
    throw new Error('forward only');
  }
}

/** Triggers, so that nobody who changes or deletes an entry can forget the run: it would be signed as it was before. */
async function replaceRunsOfChangedEntries(queryRunner: QueryRunner): Promise<void> {
  await queryRunner.query(`
    CREATE FUNCTION replace_runs() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
    BEGIN
      UPDATE crl_run AS r SET replaced = true
       WHERE NOT r.replaced AND EXISTS (
         SELECT FROM changed AS c
          WHERE c.issuer_id = r.issuer_id AND c.crl_shard = r.crl_shard AND c.seq BETWEEN r.first_seq AND r.last_seq);
      RETURN NULL;
    END $$`);
  for (const event of ['UPDATE', 'DELETE'])
    await queryRunner.query(`
      CREATE TRIGGER replace_runs_on_${event.toLowerCase()} AFTER ${event} ON revoked
        REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION replace_runs()`);
}
