import { randomUUID } from 'node:crypto';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { type Clock, systemClock } from '@gigvault/time/clock';
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import type { Pool } from 'pg';
import { enrolmentApi, eventsOf, type RaDatabase, startRaDatabase } from './fixtures.ts';

const DAY = 86_400_000;

/** The enrolment flows over one database. */
export interface EnrolmentWorld {
  readonly pool: Pool;
  /** With a CA and a policy of their own for each test, on the machine's clock. */
  api: ReturnType<typeof enrolmentApi>;
  /** Starts anew, on another clock. */
  restart(clock: Clock): void;
  /** A valid authorization with its evidence, as validation leaves it: its id. `expiresAt`: a day from now. */
  prove(requester: string, name: string, validated?: string, expiresAt?: number): Promise<string>;
  /** Types of the events about a subject, in order. */
  eventTypes(subject: string): Promise<string[]>;
}

/** A world for the tests of a file: the database comes before the first and goes after the last. */
export function useEnrolmentWorld(): EnrolmentWorld {
  let ra: RaDatabase;
  const world: Omit<EnrolmentWorld, 'api'> & { api?: EnrolmentWorld['api'] } = {
    get pool() {
      return ra.pool;
    },
    restart(clock) {
      world.api = enrolmentApi(ra.pool, clock);
    },
    prove: (requester, name, validated = name, expiresAt = systemClock.now() + DAY) =>
      insertProof(ra.pool, { requester, name, validated, expiresAt }),
    eventTypes: async (subject) =>
      (await eventsOf((world as EnrolmentWorld).api.eventLog, subject)).map(({ type }) => type),
  };
  beforeAll(async () => {
    ra = await startRaDatabase();
  });
  beforeEach(() => world.restart(systemClock));
  afterEach(() => installFaultHook(undefined));
  afterAll(() => ra.database.stop());
  return world as EnrolmentWorld;
}

interface ProofRow {
  readonly requester: string;
  readonly name: string;
  readonly validated: string;
  readonly expiresAt: number;
}

async function insertProof(
  pool: Pool,
  { requester, name, validated, expiresAt }: ProofRow,
): Promise<string> {
  const authorizationId = randomUUID();
  await pool.query(
    `INSERT INTO authorization_ (authorization_id, requester, identifier_type, identifier_value, status, expires_at, created_at)
     VALUES ($1, $2, 'dns', $3, 'valid', $4, 0)`,
    [authorizationId, requester, name, expiresAt],
  );
  await pool.query(
    `INSERT INTO validation_evidence (authorization_id, challenge_id, identifier_type, identifier_value, outcome, evidence, at)
     VALUES ($1, $2, 'dns', $3, 'valid', '{}', 0)`,
    [authorizationId, randomUUID(), validated],
  );
  return authorizationId;
}
