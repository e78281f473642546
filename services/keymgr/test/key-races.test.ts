import { createEventLog } from '@gigvault/database/event-log';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { verifyWith } from '@gigvault/keystore/key-algorithm';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { startTestDatabase, type TestDatabase } from '@gigvault/testkit/test-database';
import { FakeClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Pool } from 'pg';
import { memoryTables } from '../src/adapters/memory-tables.ts';
import { pgEncryptionTable } from '../src/adapters/pg-encryption-table.ts';
import { pgKeyTable } from '../src/adapters/pg-key-table.ts';
import { backendsOf } from '../src/backends/backends.ts';
import { generateUserKey } from '../src/creation/generate-key.ts';
import { destroyDueKeys } from '../src/destruction/destroy-due-keys.ts';
import { scheduleDestruction, undoDestruction } from '../src/destruction/schedule-destruction.ts';
import { keymgrService } from '../src/keymgr.module.ts';
import { earlierVersions, getKey } from '../src/keys/find-keys.ts';
import { type KeyState, STATE_RULES } from '../src/keys/key-state.ts';
import type { PersonDeps } from '../src/keys/require-own-key.ts';
import { changeState } from '../src/life/change-state.ts';
import { rotateKey } from '../src/life/rotate-key.ts';
import { type PersonSignature, signForPerson } from '../src/signing/sign-for-person.ts';
import { countedKeyStore, person, WAIT } from './person.ts';
import { NOW } from './signing-fixture.ts';

const DATA = Buffer.from('data');
const alice = person('alice');
const never = new AbortController().signal;

let database: TestDatabase;
let pool: Pool;

beforeAll(async () => {
  database = await startTestDatabase();
  pool = await database.pool('keymgr', keymgrService.migrations);
});
afterAll(() => database?.stop());

/** Two replicas over one database and one backend, and a key of alice's. */
async function twoReplicas() {
  const store = countedKeyStore();
  const clock = new FakeClock(NOW);
  const replica = (): PersonDeps => {
    const eventLog = createEventLog({ pool, producer: 'keymgr', consumers: ['audit'], clock });
    return {
      backends: backendsOf([store], 'memory'),
      keys: pgKeyTable(pool, eventLog),
      encryptions: pgEncryptionTable(pool, eventLog),
      usage: memoryTables().usage,
      limits: memoryTables().limits,
      log: silentLog,
      clock,
      clockGuard: createClockGuard(clock),
      destructionWait: WAIT,
      destructionApprovals: 0,
    };
  };
  const replicas = [replica(), replica()] as const;
  const { keyId } = await generateUserKey(replicas[0], { keyType: 'ec-p256' }, alice);
  return { replicas, store, clock, keyId };
}

type World = Awaited<ReturnType<typeof twoReplicas>>;

const sign = (deps: PersonDeps, keyId: string) =>
  signForPerson(deps, keyId, { data: DATA, format: 'der' }, alice);

describe('races for a key', () => {
  it('of two rotations of a version at once one is refused, and leaves no private key behind', async () => {
    for (let round = 0; round < 20; round += 1) {
      const { replicas, store, keyId } = await twoReplicas();
      const outcomes = await Promise.allSettled(
        replicas.map((deps) => rotateKey(deps, keyId, 1, alice)),
      );
      expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
      expect(store.handles.size).toBe(2);
      expect((await getKey(replicas[0], keyId)).version).toBe(2);
    }
  });

  it('once a destruction is acknowledged nobody signs or rotates, on no replica', async () => {
    for (let round = 0; round < 20; round += 1) {
      const world = await twoReplicas();
      const { replicas, keyId } = world;
      const [here, there] = replicas;
      const busy = [here, there, here, there].map((deps) => sign(deps, keyId));
      const rotation = rotateKey(there, keyId, undefined, alice).catch(() => undefined);
      await untilDone(() => scheduleDestruction(here, keyId, alice));
      await expect(sign(there, keyId)).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
      await expect(rotateKey(there, keyId, undefined, alice)).rejects.toMatchObject({
        code: 'KEY_STATE_REFUSED',
      });
      const signed = (await Promise.allSettled(busy)).flatMap((one) =>
        one.status === 'fulfilled' ? [one.value] : [],
      );
      await rotation;
      await requireSound(world, signed);
    }
  });

  it('an undo and the destruction that is due: one of them comes first, and it is that', async () => {
    for (let round = 0; round < 20; round += 1) {
      const world = await twoReplicas();
      const { replicas, keyId, clock } = world;
      await scheduleDestruction(replicas[0], keyId, alice);
      clock.advance(WAIT);
      const undo = () => undoDestruction(replicas[0], keyId, alice).catch(() => undefined);
      const destroy = () => destroyDueKeys(replicas[1], never);
      await Promise.all(round % 2 === 0 ? [undo(), destroy(), destroy()] : [destroy(), undo()]);
      const { state } = await getKey(replicas[0], keyId);
      expect(['active', 'destroyed']).toContain(state);
      await requireSound(world, []);
    }
  });
});

describe('a process that dies', () => {
  afterEach(() => installFaultHook(undefined));

  /** Dies at the n-th time that it comes to the step. */
  function die(step: string, moment: 'before' | 'after', nth = 1): void {
    let left = nth;
    installFaultHook((at, when) => {
      if (at !== step || when !== moment) return;
      left -= 1;
      if (left === 0) throw new Error('died');
    });
  }

  it.each([
    ['before', 1],
    ['after', 2],
  ] as const)('%s it rotated: the key has version %i', async (moment, version) => {
    const { replicas, keyId, store } = await twoReplicas();
    die('keymgr.rotation', moment);
    await expect(rotateKey(replicas[0], keyId, 1, alice)).rejects.toThrow('died');
    installFaultHook(undefined);
    const key = await getKey(replicas[1], keyId);
    expect(key.version).toBe(version);
    // A pair that nobody names may be left over, never a name without its pair.
    expect([...store.handles]).toContain(key.handle);
    expect(await sign(replicas[1], keyId)).toMatchObject({ version });
  });

  it.each([
    ['before', 0],
    ['after', 1],
  ] as const)('%s it told of a signature: nobody has it, %i events', async (moment, told) => {
    const { replicas, keyId } = await twoReplicas();
    die('keymgr.use', moment);
    await expect(sign(replicas[0], keyId)).rejects.toThrow('died');
    installFaultHook(undefined);
    const uses = (await eventsOf(keyId)).filter(({ type }) => type === 'key.used');
    expect(uses).toHaveLength(told);
  });

  it.each([
    ['before', 1],
    ['after', 1],
    ['before', 2],
    ['after', 2],
  ] as const)('%s step %i of a destruction: another ends it, once', async (moment, nth) => {
    const world = await twoReplicas();
    const { replicas, keyId, clock, store } = world;
    await rotateKey(replicas[0], keyId, 1, alice);
    await scheduleDestruction(replicas[0], keyId, alice);
    clock.advance(WAIT);
    die('keymgr.state', moment, nth);
    expect(await destroyDueKeys(replicas[0], never)).toBe(0);
    installFaultHook(undefined);
    const undone = await undoDestruction(replicas[1], keyId, alice).catch(() => undefined);
    expect(undone !== undefined).toBe(moment === 'before' && nth === 1);
    await destroyDueKeys(replicas[1], never);
    expect(store.handles.size).toBe(undone ? 2 : 0);
    const state = undone ? 'active' : 'destroyed';
    expect(await getKey(replicas[1], keyId)).toMatchObject({ state });
    await requireSound(world, []);
  });
});

const ACTIONS = {
  sign: (deps: PersonDeps, { keyId }: World) => sign(deps, keyId),
  rotate: (deps: PersonDeps, { keyId }: World) => rotateKey(deps, keyId, undefined, alice),
  suspend: (deps: PersonDeps, { keyId }: World) => become(deps, keyId, 'suspended'),
  activate: (deps: PersonDeps, { keyId }: World) => become(deps, keyId, 'active'),
  compromise: (deps: PersonDeps, { keyId }: World) => become(deps, keyId, 'compromised'),
  destroy: (deps: PersonDeps, { keyId }: World) => scheduleDestruction(deps, keyId, alice),
  undo: (deps: PersonDeps, { keyId }: World) => undoDestruction(deps, keyId, alice),
  work: (deps: PersonDeps) => destroyDueKeys(deps, never),
  wait: async (_deps: PersonDeps, { clock }: World) => clock.advance(WAIT),
} as const;

const become = (deps: PersonDeps, keyId: string, state: 'suspended' | 'active' | 'compromised') =>
  changeState(deps, keyId, { state, reason: '' }, alice);

type Action = keyof typeof ACTIONS;

const action = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom<Action>('sign', 'rotate') },
  {
    weight: 3,
    arbitrary: fc.constantFrom<Action>('suspend', 'activate', 'destroy', 'undo', 'work', 'wait'),
  },
  { weight: 1, arbitrary: fc.constant<Action>('compromise') },
);

it('whatever is done at once: the log is a possible life of the key, its row is where that leads, and no private key is left over', async () => {
  const steps = fc.array(fc.array(fc.tuple(action, fc.nat(1)), { maxLength: 6 }), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(steps, async (groups) => {
      const world = await twoReplicas();
      const signed: PersonSignature[] = [];
      for (const group of groups) {
        const outcomes = await Promise.allSettled(
          group.map(([name, replica]) => ACTIONS[name](world.replicas[replica]!, world)),
        );
        outcomes.forEach((outcome, n) => {
          if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(GigvaultError);
          else if (group[n]?.[0] === 'sign') signed.push(outcome.value as PersonSignature);
        });
      }
      await requireSound(world, signed);
    }),
    { numRuns: 60 },
  );
}, 120_000);

interface LoggedEvent {
  readonly type: string;
  readonly data: { readonly from?: KeyState; readonly to?: KeyState; readonly version?: number };
}

/** A key's course as its events tell it. */
interface Course {
  state: KeyState;
  version: number;
  restore: KeyState | null;
  waits: boolean;
  signatures: number;
}

const BECOMES: Readonly<Record<string, KeyState>> = {
  'key.activated': 'active',
  'key.suspended': 'suspended',
  'key.compromised': 'compromised',
};

/** What each event may follow, and what it makes of the key. */
function follow(course: Course, { type, data }: LoggedEvent): void {
  const { state } = course;
  if (data.from !== undefined) expect(data.from).toBe(state);
  switch (type) {
    case 'key.used':
      expect([state, data.version]).toEqual(['active', course.version]);
      course.signatures += 1;
      break;
    case 'key.rotated':
      expect([state, data.version]).toEqual(['active', course.version + 1]);
      course.version += 1;
      break;
    case 'key.destruction-scheduled':
      expect(course.waits).toBe(false);
      Object.assign(course, { waits: true, restore: state, state: STATE_RULES[state].waiting });
      break;
    case 'key.destruction-undone':
      expect([course.waits, data.to]).toEqual([true, course.restore]);
      Object.assign(course, { waits: false, restore: null, state: data.to });
      break;
    case 'key.destruction-begun':
      expect(course.waits && course.restore !== null).toBe(true);
      course.restore = null;
      break;
    case 'key.destroyed':
      expect([course.waits, course.restore]).toEqual([true, null]);
      Object.assign(course, { waits: false, state: 'destroyed' });
      break;
    default: {
      const becomes = BECOMES[type] as KeyState;
      expect(STATE_RULES[state].next).toContain(becomes);
      Object.assign(course, { state: becomes, restore: course.restore && becomes });
    }
  }
}

async function eventsOf(keyId: string): Promise<LoggedEvent[]> {
  const { rows } = await pool.query<{ type: string; data: Buffer }>(
    'SELECT type, data FROM outbox WHERE subject = $1 ORDER BY position',
    [keyId],
  );
  return rows.map(({ type, data }) => ({ type, data: JSON.parse(data.toString('utf8')) }));
}

async function requireSound(world: World, signed: readonly PersonSignature[]): Promise<void> {
  const { replicas, keyId, store } = world;
  const [deps] = replicas;
  const course: Course = {
    state: 'active',
    version: 1,
    restore: null,
    waits: false,
    signatures: 0,
  };
  for (const event of (await eventsOf(keyId)).slice(1)) follow(course, event);
  const key = await getKey(deps, keyId);
  expect(key).toMatchObject({ state: course.state, version: course.version });
  expect([key.destroyAt !== null, key.restoreState]).toEqual([course.waits, course.restore]);
  expect(course.signatures).toBe(signed.length);

  const versions = [key, ...(await earlierVersions(deps, key))];
  const named = key.state === 'destroyed' ? [] : versions.map(({ handle }) => handle);
  expect([...store.handles].sort()).toEqual([...named].sort());
  for (const { version, signature } of signed) {
    const { publicKey } = versions.find((one) => one.version === version)!;
    expect(await verifyWith(publicKey!.keyObject, DATA, signature, 'der')).toBe(true);
  }
}

/** As a caller does who is told that somebody else was first. */
async function untilDone<T>(run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (!(error instanceof GigvaultError) || error.code !== 'CONFLICT') throw error;
    }
  }
}
