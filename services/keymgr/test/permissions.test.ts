import { ROLE_NAMES, type Role } from '@gigvault/access/permissions';
import type { KeyStore } from '@gigvault/keystore/key-store';
import { describe, expect, it } from '@jest/globals';
import { backendsOf } from '../src/backends/backends.ts';
import { testBackend } from '../src/backends/test-backend.ts';
import { createCaKey } from '../src/ca-keys/create-ca-key.ts';
import { generateUserKey } from '../src/creation/generate-key.ts';
import { approveDestruction } from '../src/destruction/approve-destruction.ts';
import { scheduleDestruction, undoDestruction } from '../src/destruction/schedule-destruction.ts';
import { decryptForPerson } from '../src/encryption/decrypt-for-person.ts';
import { encryptForPerson } from '../src/encryption/encrypt-for-person.ts';
import { getKey } from '../src/keys/find-keys.ts';
import {
  GRANTABLE_USES,
  type GrantableUse,
  type KeyGrant,
  USES_OF,
} from '../src/keys/key-grant.ts';
import { changeGrants } from '../src/life/change-grants.ts';
import { changeState } from '../src/life/change-state.ts';
import { rotateKey } from '../src/life/rotate-key.ts';
import { signForPerson } from '../src/signing/sign-for-person.ts';
import { verifyForPerson } from '../src/signing/verify-for-person.ts';
import { person, personWorld } from './person.ts';
import { ISSUER } from './signing-fixture.ts';

type World = ReturnType<typeof personWorld>;
type Who = ReturnType<typeof person>;

const REQUEST = { data: Buffer.from('to be signed'), format: 'der' } as const;
const PLAIN = { plaintext: Buffer.from('secret'), additionalData: Buffer.alloc(0) };
const root = person('root', 'admin');

/** Of the key that is used; others are pairs. */
const KEY_TYPES: Partial<Record<string, string>> = {
  verify: 'hmac-sha256',
  encrypt: 'aes-256',
  decrypt: 'aes-256',
};
const keyTypeFor = (use: string) => KEY_TYPES[use] ?? 'ec-p256';
/** All that can be granted of that key. */
const usesBeside = (use: string) =>
  USES_OF[keyTypeFor(use).startsWith('aes-') ? 'encrypt' : 'sign'];

/** Every use of a key that is asked of `requireOwnKey`. */
const USES = {
  sign: ({ deps }: World, who: Who) => signForPerson(deps, 'k', REQUEST, who),
  verify: async ({ deps }: World, who: Who) => {
    const { signature } = await signForPerson(deps, 'k', REQUEST, root);
    return verifyForPerson(deps, 'k', { ...REQUEST, signature }, who);
  },
  encrypt: ({ deps }: World, who: Who) => encryptForPerson(deps, 'k', PLAIN, who),
  decrypt: async ({ deps }: World, who: Who) => {
    const { ciphertext } = await encryptForPerson(deps, 'k', PLAIN, root);
    return decryptForPerson(deps, 'k', { ...PLAIN, ciphertext }, who);
  },
  rotate: ({ deps }: World, who: Who) => rotateKey(deps, 'k', undefined, who),
  'change-state': ({ deps }: World, who: Who) =>
    changeState(deps, 'k', { state: 'suspended', reason: '' }, who),
  destroy: ({ deps }: World, who: Who) => scheduleDestruction(deps, 'k', who),
  'approve-destruction': ({ deps }: World, who: Who) => approveDestruction(deps, 'k', who),
  restore: ({ deps }: World, who: Who) => undoDestruction(deps, 'k', who),
  grant: ({ deps }: World, who: Who) => changeGrants(deps, 'k', { grants: [] }, who),
} as const;

/** Of a key that waits for its destruction. */
const WAITS = new Set<string>(['restore', 'approve-destruction']);

type Use = keyof typeof USES;
const ALL_USES = Object.keys(USES) as Use[];

const grants = (user: string, ...uses: GrantableUse[]): KeyGrant[] => [{ user, uses }];

/** The code with which it is refused; undefined when it is done. */
async function refusal(attempt: Promise<unknown>): Promise<string | undefined> {
  return attempt.then(
    () => undefined,
    (error: { code: string }) => error.code,
  );
}

/** A key of alice's in a world of its own, which waits for its destruction when it is to be restored. */
async function worldFor(use: Use, granted: readonly KeyGrant[] = []): Promise<World> {
  const world = personWorld();
  await world.key('k', keyTypeFor(use));
  if (granted.length > 0) await changeGrants(world.deps, 'k', { grants: granted }, world.alice);
  if (WAITS.has(use))
    await scheduleDestruction(world.deps, 'k', use === 'restore' ? world.alice : root);
  return world;
}

/** Who may do it without a grant, besides the owner. */
const ROLES: Record<Use, readonly Role[]> = {
  sign: ['admin'],
  verify: ['admin'],
  encrypt: ['admin'],
  decrypt: ['admin'],
  rotate: ['admin', 'operator'],
  'change-state': ['admin', 'operator'],
  destroy: ['admin', 'operator'],
  restore: ['admin', 'operator'],
  'approve-destruction': ['admin', 'operator'],
  grant: ['admin'],
};
const isGrantable = (use: string) => (GRANTABLE_USES as readonly string[]).includes(use);
const NOT_THEIRS = 'it is a key of somebody else';

describe('covers: X17, T63. a key: who may do what with it', () => {
  const cells = ALL_USES.flatMap((use) => ROLE_NAMES.map((role) => ({ use, role })));

  it.each(cells)(
    '$use by a $role: by role, by a grant of this use, by no other grant',
    async ({ use, role }) => {
      const bob = person('bob', role);
      const attempt = async (granted: readonly KeyGrant[]) => {
        const world = await worldFor(use, granted);
        const code = await refusal(USES[use](world, bob));
        if (code !== undefined)
          expect(world.events.at(-1)).toMatchObject({
            type: 'key.refused',
            actor: 'user:bob',
            subject: 'k',
            data: { purpose: use, reason: NOT_THEIRS },
          });
        return code;
      };
      const byRole = ROLES[use].includes(role) ? undefined : 'KEY_USE_REFUSED';
      expect(await attempt([])).toBe(byRole);
      const others = usesBeside(use).filter((one) => one !== use);
      expect(await attempt(grants('user:bob', ...others))).toBe(byRole);
      expect(await attempt(grants('user:carol', ...usesBeside(use)))).toBe(byRole);
      const byGrant = isGrantable(use) ? undefined : byRole;
      expect(await attempt(grants('user:bob', ...usesBeside(use)))).toBe(byGrant);
    },
  );

  it.each(ALL_USES)('%s by the owner', async (use) => {
    const world = await worldFor(use);
    expect(await refusal(USES[use](world, world.alice))).toBeUndefined();
  });

  it.each(ALL_USES)(
    '%s by a granted person of another tenant: the key is not there',
    async (use) => {
      const world = await worldFor(use, grants('user:bob', ...usesBeside(use)));
      const stranger = person('bob', 'admin', 'other');
      expect(await refusal(USES[use](world, stranger))).toBe('KEY_NOT_FOUND');
      expect(world.events.at(-1)).toMatchObject({ type: 'key.refused', actor: 'user:bob' });
    },
  );

  it('no grant reaches a key of a service', async () => {
    const { deps, events } = personWorld();
    await createCaKey(deps, { keyId: 'ca-issuing', keyType: 'ec-p256', subject: ISSUER });
    const request = { grants: grants('user:root', 'sign') };
    const attempt = changeGrants(deps, 'ca-issuing', request, person('root', 'admin'));
    expect(await refusal(attempt)).toBe('KEY_USE_REFUSED');
    expect(events.at(-1)).toMatchObject({ type: 'key.refused', data: { purpose: 'grant' } });
  });
});

describe('the grants of a key', () => {
  it('change by compare-and-set, each time with an event', async () => {
    const { deps, key, alice, events, told } = personWorld();
    await key();
    const to = (user: string, version?: number) =>
      changeGrants(deps, 'k', { grants: grants(user, 'rotate', 'sign'), version }, alice);
    expect(await to('user:bob', 0)).toMatchObject({
      grantsVersion: 1,
      grants: [{ user: 'user:bob', uses: ['sign', 'rotate'] }],
    });
    expect(events.at(-1)).toMatchObject({
      type: 'key.grants-changed',
      actor: 'user:alice',
      data: { version: 1, grants: [{ user: 'user:bob', uses: ['sign', 'rotate'] }] },
    });
    expect(await refusal(to('user:carol', 0))).toBe('CONFLICT');
    const rivals = Array.from({ length: 6 }, (_, n) => to(`user:u${n}`));
    const outcomes = await Promise.allSettled(rivals);
    const won = outcomes.filter(({ status }) => status === 'fulfilled').length;
    expect((await getKey(deps, 'k')).grantsVersion).toBe(1 + won);
    expect(told().filter((type) => type === 'key.grants-changed')).toHaveLength(1 + won);
  });

  it('once taken back give no signature, not even one that was begun before', async () => {
    const { deps, key, alice, store, told } = personWorld();
    await key();
    await changeGrants(deps, 'k', { grants: grants('user:bob', 'sign') }, alice);
    const slow: KeyStore = {
      ...store,
      async sign(handle, data, options) {
        const signature = await store.sign(handle, data, options);
        await changeGrants(deps, 'k', { grants: [] }, alice);
        return signature;
      },
    };
    const meanwhile = { ...deps, backends: backendsOf([slow], 'memory') };
    const bob = person('bob', 'key-user');
    expect(await refusal(signForPerson(meanwhile, 'k', REQUEST, bob))).toBe('KEY_USE_REFUSED');
    expect(told().slice(-2)).toEqual(['key.grants-changed', 'key.refused']);
  });

  it.each([
    ['ec-p256', 'encrypt', 'signs, only sign, verify, rotate'],
    ['hmac-sha256', 'decrypt', 'signs, only sign, verify, rotate'],
    ['aes-256', 'sign', 'encrypts, only encrypt, decrypt, rotate'],
    ['aes-256', 'verify', 'encrypts, only encrypt, decrypt, rotate'],
  ] as const)('of a key of type %s are not for %s', async (keyType, use, can) => {
    const { deps, key, alice, told } = personWorld();
    await key('k', keyType);
    const list = [...grants('user:bob', 'rotate'), ...grants('user:carol', 'rotate', use)];
    const message = `${use} cannot be done with a key that ${can}`;
    await expect(changeGrants(deps, 'k', { grants: list }, alice)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: `Grants: ${message}.`,
      problems: [{ pointer: '/grants/1/uses', message }],
    });
    expect(told()).toEqual(['key.generated']);
  });

  it('are a hundred at most, each person once', async () => {
    const { deps, key, alice } = personWorld();
    await key();
    const twice = [...grants('user:bob', 'sign'), ...grants('user:bob', 'rotate')];
    const many = Array.from({ length: 101 }, (_, n) => grants(`user:u${n}`, 'sign')).flat();
    for (const list of [twice, many, grants('user:bob')])
      expect(await refusal(changeGrants(deps, 'k', { grants: list }, alice))).toBe(
        'INVALID_ARGUMENT',
      );
    await expect(changeGrants(deps, 'k', { grants: twice }, alice)).rejects.toMatchObject({
      message: 'Grants: user:bob is there twice.',
      problems: [{ pointer: '/grants/1/user', message: 'user:bob is there twice' }],
    });
    await changeGrants(deps, 'k', { grants: many.slice(1) }, alice);
  });
});

describe('covers: X17, T63. a backend that is for some roles', () => {
  const ONLY: Role[] = ['admin', 'auditor'];

  async function world(backend: 'memory' | 'vault', use: string = 'sign') {
    const made = personWorld({ vault: ONLY });
    const key = { keyId: 'k', keyType: keyTypeFor(use), backend };
    await generateUserKey(made.deps, key, root);
    // What can be granted everybody was granted here.
    const all = ROLE_NAMES.flatMap((role) => grants(`user:${role}`, ...usesBeside(use)));
    await changeGrants(made.deps, 'k', { grants: all }, root);
    return made;
  }

  /** The key is asked first, then the backend. */
  function whyRefused(backend: string, role: Role, use: string): string | undefined {
    const isOfKey = use in USES && !isGrantable(use);
    if (isOfKey && !ROLES[use as Use].includes(role)) return NOT_THEIRS;
    const isOpen = backend === 'memory' || ONLY.includes(role);
    return isOpen ? undefined : 'the backend vault is not for their roles';
  }

  const cells = (['memory', 'vault'] as const).flatMap((backend) =>
    ROLE_NAMES.flatMap((role) =>
      (['generate', 'test', ...ALL_USES] as const).map((use) => ({ backend, role, use })),
    ),
  );

  it.each(cells)('$use in $backend by $role', async ({ backend, role, use }) => {
    const made = await world(backend, use);
    const who = person(role, role);
    if (WAITS.has(use)) await scheduleDestruction(made.deps, 'k', root);
    const key = { keyId: 'new', keyType: 'ec-p256', backend } as const;
    const attempts = {
      generate: () => generateUserKey(made.deps, key, who),
      test: () => testBackend(made.deps, { name: backend, keyType: 'ec-p256' }, who),
    };
    const attempt = use in attempts ? attempts[use as 'test'] : () => USES[use as Use](made, who);
    const code = await refusal(attempt());
    const reason = whyRefused(backend, role, use);
    expect(code).toBe(reason && 'KEY_USE_REFUSED');
    const told = made.events.filter(({ type }) => type === 'key.refused');
    expect(told).toMatchObject(
      reason === undefined ? [] : [{ actor: `user:${role}`, data: { purpose: use, reason } }],
    );
    const isMade = use === 'generate' && reason === undefined;
    expect(await refusal(getKey(made.deps, 'new'))).toBe(isMade ? undefined : 'KEY_NOT_FOUND');
  });

  it('keeps even the owner out who has lost the role; keys stay where they were made', async () => {
    const made = await world('vault');
    const before = person('root', 'operator');
    expect(await refusal(signForPerson(made.deps, 'k', REQUEST, before))).toBe('KEY_USE_REFUSED');
    const test = { name: 'vault', keyType: 'ec-p256' };
    await expect(testBackend(made.deps, test, before)).rejects.toThrow(
      /^Refused: the backend vault is not for their roles\.$/,
    );
    const rotated = await rotateKey(made.deps, 'k', undefined, person('root', 'admin'));
    expect(rotated).toMatchObject({ version: 2, backend: 'vault' });
  });

  it('covers: K73. that there is not is not found, and there is no key', async () => {
    const { deps, alice } = personWorld();
    for (const backend of ['nowhere', '__proto__', 'constructor']) {
      const request = { keyId: 'new', keyType: 'ec-p256', backend };
      expect(await refusal(generateUserKey(deps, request, alice))).toBe('NOT_FOUND');
    }
    expect(await refusal(getKey(deps, 'new'))).toBe('KEY_NOT_FOUND');
  });
});
