import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import { scheduleDestruction, undoDestruction } from '../src/destruction/schedule-destruction.ts';
import { KEY_STATES, type KeyState, STATE_RULES } from '../src/keys/key-state.ts';
import { changeState, SETTABLE_STATES } from '../src/life/change-state.ts';
import { rotateKey } from '../src/life/rotate-key.ts';
import { signForPerson } from '../src/signing/sign-for-person.ts';
import { verifyForPerson } from '../src/signing/verify-for-person.ts';
import { personWorld } from './person.ts';

const DATA = Buffer.from('data');

/**
 * NIST SP 800-57 part 1 rev 5 §7, a line a state, a cell an action; `✔`: done, `=`: nothing to do, `·`: refused.
 */
const CELLS = `
               sign verify rotate active suspended deactivated compromised destroy restore
  pre-active   ·    ·      ·      ✔      ·         ·           ✔           ✔       ·
  active       ✔    ✔      ✔      =      ✔         ✔           ✔           ✔       ·
  suspended    ·    ✔      ·      ✔      =         ✔           ✔           ✔       ·
  deactivated  ·    ✔      ·      ·      ·         =           ✔           ✔       ·
  compromised  ·    ✔      ·      ·      ·         ·           =           ✔       ·
  destroyed    ·    ·      ·      ·      ·         ·           ·           =       ·`;

/** The same of keys that wait for their destruction. */
const WAITING_CELLS = `
               sign verify rotate active suspended deactivated compromised destroy restore
  pre-active   ·    ·      ·      ·      ·         ·           ✔           =       ✔
  deactivated  ·    ✔      ·      ·      ·         =           ✔           =       ✔
  compromised  ·    ✔      ·      ·      ·         ·           =           =       ✔`;

type Cell = readonly [state: KeyState, action: string, outcome: string];

function cellsOf(text: string): Cell[] {
  const [heads = [], ...lines] = text
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/ +/));
  return lines.flatMap(([state, ...outcomes]) =>
    outcomes.map((outcome, n): Cell => [state as KeyState, heads[n] as string, outcome]),
  );
}

async function tried(
  state: KeyState,
  action: string,
  waiting: Partial<Record<'destroyAt', number> & Record<'restoreState', KeyState>>,
) {
  const { deps, alice, key, told } = personWorld();
  const made = await key();
  const { signature } = await signForPerson(deps, 'k', { data: DATA, format: 'der' }, alice);
  const course = { state, destroyAt: null, restoreState: null, destroyBy: [], ...waiting };
  const event = { type: 'key.generated', actor: 'test', subject: 'test', data: {} } as const;
  await deps.keys.move(made, course, event);
  const before = told();
  const settable = SETTABLE_STATES.find((known) => known === action);
  const actions: Record<string, () => Promise<unknown>> = {
    sign: () => signForPerson(deps, 'k', { data: DATA, format: 'der' }, alice),
    verify: () => verifyForPerson(deps, 'k', { data: DATA, signature, format: 'der' }, alice),
    rotate: () => rotateKey(deps, 'k', undefined, alice),
    destroy: () => scheduleDestruction(deps, 'k', alice),
    restore: () => undoDestruction(deps, 'k', alice),
  };
  const run = settable
    ? () => changeState(deps, 'k', { state: settable, reason: '' }, alice)
    : (actions[action] as () => Promise<unknown>);
  const error = await run().then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  const events = told().slice(before.length);
  if (error instanceof GigvaultError) {
    expect(error.code).toBe(
      ['sign', 'verify'].includes(action) ? 'KEY_USE_REFUSED' : 'KEY_STATE_REFUSED',
    );
    expect(events).toEqual(['key.refused']);
    return '·';
  }
  expect(error).toBeUndefined();
  return events.length === 0 ? '=' : '✔';
}

describe('the states of a key', () => {
  it.each(cellsOf(CELLS))('%s, %s: %s', async (state, action, outcome) => {
    expect(await tried(state, action, {})).toBe(outcome);
  });

  it.each(cellsOf(WAITING_CELLS))('%s and waiting, %s: %s', async (state, action, outcome) => {
    const waiting = { destroyAt: 1, restoreState: 'pre-active' } as const;
    expect(await tried(state, action, waiting)).toBe(outcome);
  });

  it('lead to destroyed from everywhere, and from there nowhere', () => {
    const reaching = KEY_STATES.filter((state) => STATE_RULES[state].next.includes('destroyed'));
    expect(reaching).toEqual(KEY_STATES.filter((state) => state !== 'destroyed'));
    expect(STATE_RULES.destroyed.next).toEqual([]);
  });
});
