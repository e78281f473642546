import { connect } from '@gigvault/testkit/check-pki';
import type { PkiProcess } from '@gigvault/testkit/pki-process';

/** A new key for the issuing CA, asked for by the command that people give. */
export interface Rotation {
  /** Gives the command again, as whoever saw it fail does; what then is not as it should be. Waits for the first one to end. */
  finish(): Promise<string[]>;
}

/**
 * Begins to rotate the CA `issuing` to its next key, and leaves it to a process to die on the way.
 * @param passphraseFile of the root, which is beside the PKI's data
 */
export async function beginRotation(pki: PkiProcess, passphraseFile: string): Promise<Rotation> {
  const [, generation] = await currentIssuer(pki);
  const next = generation + 1;
  const root = ['--passphrase-file', passphraseFile];
  const command = () => pki.cli('ca', 'rotate', ...root, '--generation', String(next), '--yes');
  const first = command();
  return {
    async finish() {
      await first;
      const { code, stderr } = await command();
      if (code !== 0) return [`"ca rotate", given again, ended with ${code}: ${stderr}`];
      const [issuerId] = await currentIssuer(pki);
      return issuerId === `issuing-g${next}` ? [] : [`after the rotation ${issuerId} issues`];
    },
  };
}

async function currentIssuer(pki: PkiProcess): Promise<[issuerId: string, generation: number]> {
  const database = await connect(pki);
  try {
    const { rows } = await database.query<{ issuer_id: string; generation: number }>(
      "SELECT issuer_id, generation FROM ca.issuer WHERE line = 'issuing' AND state = 'current'",
    );
    const [row] = rows;
    if (rows.length !== 1 || row === undefined)
      throw new Error(`the CA has ${rows.length} current keys`);
    return [row.issuer_id, row.generation];
  } finally {
    await database.end();
  }
}
