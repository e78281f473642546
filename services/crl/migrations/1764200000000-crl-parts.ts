import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The octets of a CRL in parts, so that a list of a million entries is nowhere in one piece: joined in their order they are the
 * CertificateList, or its TBSCertList (parts from 1 on) before it is signed. `crl.tbs` and `crl.der` are not written any more.
 */
export class CrlParts1764200000000 implements MigrationInterface {
  name = 'CrlParts1764200000000';

  async up(queryRunner: QueryRunner): Promise<void> {
    await queryRunner.query(`
      CREATE TABLE crl_part (
        intent_id uuid NOT NULL REFERENCES crl (intent_id) ON DELETE CASCADE,
        part_no integer NOT NULL,
        octets bytea NOT NULL,
        PRIMARY KEY (intent_id, part_no)
      )`);
    // Signatures and serial numbers do not compress; trying costs more than writing.
    await queryRunner.query('ALTER TABLE crl_part ALTER COLUMN octets SET STORAGE EXTERNAL');
    await queryRunner.query('ALTER TABLE crl ADD COLUMN octets bigint');
    await queryRunner.query(`ALTER TABLE crl DROP CONSTRAINT crl_check`);
    await queryRunner.query(
      `INSERT INTO crl_part (intent_id, part_no, octets)
       SELECT intent_id, 0, der FROM crl WHERE der IS NOT NULL
       UNION ALL SELECT intent_id, 1, tbs FROM crl WHERE status = 'intended' AND tbs IS NOT NULL`,
    );
    await queryRunner.query('UPDATE crl SET octets = octet_length(der) WHERE der IS NOT NULL');
    await queryRunner.query(
      `ALTER TABLE crl ADD CONSTRAINT crl_published_octets CHECK ((status = 'published') = (octets IS NOT NULL))`,
    );
  }

  async down(): Promise<void> {
    throw new Error('forward only');
  }
}
