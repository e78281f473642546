import { runModel } from '@gigvault/testkit/model-run';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { certificatesOf, check } from '../../ca/test/test-ca.ts';
import { type AcmeTestClient, acmeTestClient } from '../../enroll/test/acme-test-client.ts';
import {
  Answer,
  CaAway,
  Deactivate,
  DieFinalizing,
  DURABLE,
  Finalize,
  Look,
  MENDABLE,
  NewOrder,
  type Request,
  Restart,
  Revoke,
  Wait,
} from './acme-model/commands.ts';
import {
  type Authorization,
  look,
  type Model,
  path,
  type Real,
  useAcmePath,
} from './acme-model/model.ts';

const NAMES = ['a.localhost', 'b.localhost', 'c.localhost'];

useAcmePath();

async function newClient(): Promise<AcmeTestClient> {
  const client = acmeTestClient(path);
  expect((await client.newAccount()).status).toBe(201);
  return client;
}

/** The names that were validated under these authorizations, once for each record of it, in order. */
async function provedNames(authorizations: readonly Authorization[]): Promise<string[]> {
  const { rows } = await path.raPool.query<{ name: string }>(
    `SELECT identifier_value AS name FROM validation_evidence
     WHERE authorization_id = ANY ($1) AND outcome = 'valid' ORDER BY identifier_value`,
    [authorizations.map(({ url }) => url.split('/').at(-1))],
  );
  return rows.map(({ name }) => name);
}

/**
 * A valid order has one certificate, and a record of the validation of each of its names; every other order has no certificate:
 * whatever its client was told, and whatever became of the process.
 */
async function compareCertificates({ orders }: Model, real: Real): Promise<void> {
  path.caAway = false;
  for (const order of orders) await look(real, order);
  for (const { url, status, leaf, reason, names, authorizations } of orders) {
    const { rows } = await path.enrollPool.query(
      'SELECT status, request_id FROM order_ WHERE order_id = $1',
      [url.split('/').at(-1)],
    );
    // That it is ready is seen, not kept.
    expect(rows).toMatchObject([{ status: status === 'ready' ? 'pending' : status }]);
    const certificates = await certificatesOf(path.ca, rows[0].request_id);
    const released = certificates.filter(({ certificate }) => certificate !== null);
    expect(released).toHaveLength(status === 'valid' ? 1 : 0);
    if (leaf) expect(released[0]!.certificate).toEqual(leaf.raw);
    if (status !== 'valid') continue;
    expect(released[0]!.status).toBe(reason === undefined ? 'valid' : 'revoked');
    expect(await provedNames(authorizations)).toEqual(names.toSorted());
  }
}

describe('the state machines of orders and authorizations', () => {
  it('keep to their model, whatever a client, the clock and the processes do — covers: T1, T2, T3, T4, T5, T33, T38, T56, L1', async () => {
    const index = fc.constantFrom(0, 0, 0, 0, 1, 1, 2, 3, 7);
    const few = fc.constantFrom(1, 1, 2, 5);
    const names = fc.subarray(NAMES, { minLength: 1 });
    const request = fc.constantFrom<Request>(
      ...(['good', 'good', 'good', 'same', 'others', 'others'] as const),
      ...MENDABLE,
    );
    const step = fc.constantFrom(...DURABLE);
    const moment = fc.constantFrom('before' as const, 'after' as const);
    const newOrder = names.map((some) => new NewOrder(some));
    const right = index.map((i) => new Answer(i, true));
    const finalize = fc.tuple(index, request, few).map((args) => new Finalize(...args));
    await runModel<Model, Real>({
      commands: [
        ...[newOrder, newOrder, right, right, right, right, finalize, finalize, finalize],
        index.map((i) => new Answer(i, false)),
        index.map((i) => new Deactivate(i)),
        fc.tuple(index, step, moment).map((args) => new DieFinalizing(...args)),
        index.map((i) => new Look(i)),
        fc.tuple(index, fc.constantFrom(0, 1, 4)).map((args) => new Revoke(...args)),
        fc.constantFrom(1, 1, 20, 20, 50, 130).map((minutes) => new Wait(minutes)),
        fc.constant(new Restart()),
        fc.boolean().map((away) => new CaAway(away)),
      ],
      maxCommands: 50,
      runs: 10,
      async begin() {
        path.caAway = false;
        const real = { client: await newClient(), stranger: await newClient() };
        return { model: { authorizations: [], orders: [] }, real };
      },
      end: compareCertificates,
    });
    await check(path.ca);
  }, 600_000);
});
