import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type ClientBase, escapeIdentifier, escapeLiteral } from 'pg';

/** One GigVault: a data directory with its secrets. */
export interface Installation {
  /** 16 hex digits that no other has. */
  readonly id: string;
  /** For people who meet its database, as `/var/lib/gigvault on ca1`. */
  readonly place: string;
}

/** In the database's comment: it belongs to the server, so that everybody may read it, whoever owns what is inside. */
const MARK = /GigVault ([0-9a-f]{16}) \((.*?)\)/;

const UNTOUCHED = 'untouched';

/** Whether this is a refusal of claimDatabase: nothing was changed, and no password of ours was told to the server's roles. */
export function isUntouched(error: unknown): boolean {
  return error instanceof GigvaultError && error.details[UNTOUCHED] === true;
}

/**
 * Makes this database the installation's, once, or makes sure that it is. Nothing is changed when it is not.
 * Errors: INVALID_ARGUMENT when it belongs to another GigVault, holds something else, or cannot be told whose it is.
 *
 * @param admin connected to the database
 * @param knowsIt the installation's owner role could sign in: the database is its own, though it says nothing
 */
export async function claimDatabase(
  admin: ClientBase,
  installation: Installation,
  knowsIt: boolean,
): Promise<void> {
  await admin.query('BEGIN');
  try {
    await admin.query("SELECT pg_advisory_xact_lock(hashtext('gigvault.provision'))");
    const found = await look(admin);
    const [, id, place] = MARK.exec(found.comment) ?? [];
    const refuse = (why: string): never => {
      const message = `The database "${found.name}" ${why}`;
      throw new GigvaultError('INVALID_ARGUMENT', message, { details: { [UNTOUCHED]: true } });
    };
    const mark = `COMMENT ON DATABASE ${escapeIdentifier(found.name)} IS ${escapeLiteral(commentOf(found.comment, installation))}`;
    if (id !== undefined && id !== installation.id)
      refuse(
        `belongs to another GigVault (${place}). Nothing was changed. Name another database in --database-url, or restore the data directory that it belongs to.`,
      );
    if (id === undefined && !knowsIt && found.isUsed)
      refuse(
        `is a GigVault's, but does not say whose. Nothing was changed. If it is the one of this data directory, say so on it: ${mark};`,
      );
    if (id === undefined && !knowsIt && found.isForeign)
      refuse('holds tables of something else. GigVault needs a database of its own.');
    if (id === undefined) await admin.query(mark);
    await admin.query('COMMIT');
  } catch (error) {
    await admin.query('ROLLBACK').catch(() => undefined);
    throw error;
  }
}

interface Found {
  readonly name: string;
  readonly comment: string;
  /** A GigVault has prepared it. */
  readonly isUsed: boolean;
  readonly isForeign: boolean;
}

async function look(admin: ClientBase): Promise<Found> {
  const { rows } = await admin.query<Found>(
    `SELECT datname AS name, coalesce(shobj_description(oid, 'pg_database'), '') AS comment,
            to_regnamespace('provisioning') IS NOT NULL AS "isUsed",
            EXISTS (SELECT FROM pg_tables WHERE schemaname !~ '^(pg_|information_schema$)') AS "isForeign"
       FROM pg_database WHERE datname = current_database()`,
  );
  return rows[0] as Found;
}

/** What others have written there stays. */
function commentOf(comment: string, { id, place }: Installation): string {
  return `${comment === '' ? '' : `${comment} `}GigVault ${id} (${place})`;
}
