import type { Client } from 'pg';

/** SQL expressions by column, in which `g` counts from 1: what must differ from row to row. */
type Differing = Readonly<Record<string, string>>;

const uuid = (what: string) => `md5('${what}' || g)::uuid`;
const hash = (what: string) => `sha256(('${what}' || g)::bytea)`;
const text = (what: string) => `'${what}-' || g`;
const SERIAL_NUMBER = `'4' || substr(encode(${hash('serial')}, 'hex'), 1, 39)`;
const KEY_HASH = `encode(${hash('key')}, 'hex')`;
/** Consumers count positions from 1 on; trimming takes the oldest first. */
const OUTBOX: Differing = { position: '-g', id: uuid('event'), occurred_at: '0' };

/** Every table that grows with use, as `schema.table`, and how to make rows of one that is there. */
export const GROWING_TABLES: Readonly<Record<string, Differing>> = {
  'audit.outbox': OUTBOX,
  'auth.api_key': { key_id: text('filled'), user_id: uuid('user') },
  'auth.outbox': OUTBOX,
  'auth.setup_token': { token_hash: hash('token'), user_id: uuid('user'), redeemed_at: 'now()' },
  'auth.user_': { user_id: uuid('user'), name: text('filled'), roles: `'{requester}'` },
  'ca.blocked_key': { spki_sha256: KEY_HASH, swept: 'true' },
  'ca.certificate': {
    serial_number: SERIAL_NUMBER,
    request_id: uuid('request'),
    intent_id: uuid('intent'),
    common_name: `'n' || g || '.localhost'`,
    requester: `'acme:' || g % 1000`,
    spki_sha256: KEY_HASH,
    issued_at: 't.issued_at - g * 1000',
  },
  'ca.intent': {
    intent_id: uuid('intent'),
    request_id: uuid('request'),
    serial_number: SERIAL_NUMBER,
    spki_sha256: KEY_HASH,
    status: `'issued'`,
  },
  'ca.outbox': OUTBOX,
  'ca.serial': { serial_number: SERIAL_NUMBER },
  'crl.revoked': { serial_number: SERIAL_NUMBER },
  'enroll.account': { account_id: text('filled'), jwk_thumbprint: text('filled') },
  'enroll.order_': {
    order_id: text('filled'),
    request_id: uuid('request'),
    account_id: text('filled'),
    created_at: 't.created_at - g * 1000',
  },
  'enroll.outbox': OUTBOX,
  'keymgr.encryption_count': { key_id: text('filled') },
  // The files of destroyed keys are gone, and nobody misses them.
  'keymgr.key': {
    key_id: text('filled'),
    handle: text('filled'),
    state: `'destroyed'`,
    destroy_at: 'NULL',
    restore_state: 'NULL',
  },
  'keymgr.key_version': { key_id: text('filled'), handle: text('filled') },
  'keymgr.outbox': OUTBOX,
  'keymgr.signature': { intent_id: uuid('intent'), tbs_sha256: hash('tbs') },
  // Of a webhook that is away: each has its turn in an hour.
  'notify.delivery': {
    delivery_id: uuid('delivery'),
    due_at: `extract(epoch FROM now())::bigint * 1000 + 3600000`,
  },
  'ocsp.status': { serial_number: SERIAL_NUMBER },
  'ra.authorization_': {
    authorization_id: uuid('authorization'),
    requester: text('filled'),
    created_at: 't.created_at - g * 1000',
  },
  'ra.challenge': {
    challenge_id: uuid('challenge'),
    authorization_id: uuid('authorization'),
    requester: text('filled'),
  },
  'ra.enrolment_request': {
    request_id: uuid('request'),
    requester: `'acme:' || g % 1000`,
    created_at: 't.created_at - g * 1000',
  },
  'ra.outbox': OUTBOX,
  'ra.validation_evidence': { authorization_id: uuid('authorization') },
  'ra.vote': { request_id: uuid('request') },
};

/**
 * Adds rows that are like one that is there. @param database a superuser's connection: foreign keys are not checked
 * @param settled a condition on `t` for the row that is copied
 */
export async function fillTable(
  database: Client,
  table: string,
  rows: number,
  settled = 'true',
): Promise<void> {
  const differing = GROWING_TABLES[table];
  if (differing === undefined) throw new Error(`${table} is not among the growing tables`);
  const { rows: columns } = await database.query<{ name: string }>(
    `SELECT attname AS name FROM pg_attribute
     WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped AND attidentity <> 'a'`,
    [table],
  );
  const names = columns.map(({ name }) => name);
  await database.query('SET session_replication_role = replica');
  const { rowCount } = await database.query(
    `INSERT INTO ${table} (${names.join(', ')})
     SELECT ${names.map((name) => differing[name] ?? `t.${name}`).join(', ')}
     FROM (SELECT * FROM ${table} t WHERE ${settled} LIMIT 1) t, generate_series(1, ${rows}) g
     ON CONFLICT DO NOTHING`,
  );
  await database.query('SET session_replication_role = origin');
  if (rowCount === 0) throw new Error(`${table} has no row to make others of`);
}
