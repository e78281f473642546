import { describe, expect, it } from '@jest/globals';
import { person, personWorld } from '../../test/person.ts';
import { ISSUER } from '../../test/signing-fixture.ts';
import { createCaKey } from '../ca-keys/create-ca-key.ts';
import { generateServiceKey } from '../creation/generate-key.ts';
import { scheduleDestruction, undoDestruction } from '../destruction/schedule-destruction.ts';
import { changeState } from '../life/change-state.ts';
import { rotateKey } from '../life/rotate-key.ts';
import { getKey } from './find-keys.ts';

describe('covers: T63. keys of others', () => {
  const USES = {
    rotate: rotateKey,
    destroy: scheduleDestruction,
    restore: undoDestruction,
  } as const;

  function all(
    world: ReturnType<typeof personWorld>,
    keyId: string,
    who: ReturnType<typeof person>,
  ) {
    const { deps } = world;
    return {
      rotate: () => USES.rotate(deps, keyId, undefined, who),
      'change-state': () => changeState(deps, keyId, { state: 'suspended', reason: '' }, who),
      destroy: () => USES.destroy(deps, keyId, who),
      restore: () => USES.restore(deps, keyId, who),
    };
  }

  it.each(['ca-issuing', 'ocsp-issuing', 'audit-checkpoint', 'auth-token'])(
    '%s of a service: nobody does anything with it, and each attempt is told',
    async (keyId) => {
      const world = personWorld();
      const { deps, events, store } = world;
      const service = keyId.split('-')[0] as 'ca' | 'ocsp' | 'audit' | 'auth';
      const purposes = [{ ca: '', ocsp: 'ocspSign', audit: 'auditSign', auth: 'jwtSign' }[service]];
      const request = { keyId, keyType: 'ec-p256', purposes, actor: '' };
      const made =
        service === 'ca'
          ? await createCaKey(deps, { keyId, keyType: 'ec-p256', subject: ISSUER })
          : await generateServiceKey(deps, request, service);
      for (const [use, attempt] of Object.entries(all(world, keyId, person('root', 'admin')))) {
        await expect(attempt()).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
        expect(events.at(-1)).toMatchObject({
          type: 'key.refused',
          actor: 'user:root',
          subject: keyId,
          data: { purpose: use, reason: 'it is a key of a service' },
        });
      }
      expect(await getKey(deps, keyId)).toEqual(made);
      expect(store.handles.size).toBe(1);
    },
  );

  it('of another tenant are not there, and the attempt is told', async () => {
    const world = personWorld();
    await world.key();
    const stranger = person('eve', 'admin', 'other');
    for (const attempt of Object.values(all(world, 'k', stranger))) {
      await expect(attempt()).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
      expect(world.events.at(-1)).toMatchObject({ type: 'key.refused', actor: 'user:eve' });
    }
  });

  it('of a colleague are managed by operators, and by nobody of a lesser role', async () => {
    const world = personWorld();
    await world.key();
    for (const attempt of Object.values(all(world, 'k', person('mallory', 'auditor'))))
      await expect(attempt()).rejects.toMatchObject({ code: 'KEY_USE_REFUSED' });
    const bob = all(world, 'k', person('bob'));
    expect(await bob.rotate()).toMatchObject({ version: 2 });
    expect(await bob.destroy()).toMatchObject({ state: 'deactivated' });
    expect(await bob.restore()).toMatchObject({ state: 'active' });
  });
});
