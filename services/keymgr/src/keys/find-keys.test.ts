import { describe, expect, it } from '@jest/globals';
import { person, personWorld } from '../../test/person.ts';
import { generateUserKey } from '../creation/generate-key.ts';
import { listKeys, readKey } from './find-keys.ts';

const alice = person('alice');

describe('listKeys', () => {
  it('pages by key id, within one tenant', async () => {
    const { deps, events } = personWorld();
    for (const keyId of ['c', 'a', 'b'])
      await generateUserKey(deps, { keyId, keyType: 'ec-p256' }, alice);
    await generateUserKey(
      deps,
      { keyId: 'd', keyType: 'ec-p256' },
      { ...alice, tenantId: 'other' },
    );
    const first = await listKeys(deps, {
      limit: 2,
      cursor: '',
      tenantId: 'default',
      actor: alice.actor,
    });
    expect([first.items.map(({ keyId }) => keyId), first.nextCursor]).toEqual([['a', 'b'], 'b']);
    const second = await listKeys(deps, {
      limit: 2,
      cursor: first.nextCursor,
      tenantId: 'default',
      actor: alice.actor,
    });
    expect([second.items.map(({ keyId }) => keyId), second.nextCursor]).toEqual([['c'], '']);
    expect((await listKeys(deps, { limit: 0, cursor: '', actor: alice.actor })).items).toHaveLength(
      4,
    );
    await expect(readKey(deps, 'd', alice)).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
    expect(events.at(-1)).toMatchObject({
      type: 'key.refused',
      actor: 'user:alice',
      subject: 'd',
      data: { purpose: 'read', reason: 'it is a key of another tenant' },
    });
    await expect(
      listKeys(deps, { limit: 1001, cursor: '', actor: alice.actor }),
    ).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('knows a backend that is not there from one without keys — covers: K152, K157, K175', async () => {
    const { deps } = personWorld();
    const page = { limit: 0, cursor: '', actor: alice.actor };
    expect((await listKeys(deps, { ...page, backend: 'memory' })).items).toEqual([]);
    await expect(listKeys(deps, { ...page, backend: 'nope' })).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: "There is no key backend 'nope'; there is memory, vault.",
    });
  });
});
