import { randomUUID } from 'node:crypto';
import {
  CancelKeyDeletionCommand,
  CreateAliasCommand,
  CreateKeyCommand,
  EnableKeyCommand,
  KMSClient,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { type AwsProxy, startAwsProxy } from '@gigvault/testkit/aws-proxy';
import { type MotoServer, startMoto } from '@gigvault/testkit/moto-server';
import type { KeyType } from '@gigvault/x509/public-key';
import { readPublicKey } from '@gigvault/x509/public-key';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type AwsKmsKeyStore,
  type AwsKmsOptions,
  awsKmsKeyStore,
} from '../src/aws-kms/aws-kms-key-store.ts';
import { verifyWith } from '../src/key-algorithm.ts';
import { describeKeyStore } from '../src/key-store.contract.ts';
import type { KeyHandle } from '../src/key-store.ts';

const DATA = Buffer.from('to be signed');
const KEY_TYPES: readonly KeyType[] = ['ec-p256', 'ec-p384', 'ec-p521', 'rsa-2048'];
const credentials = async () => ({ accessKeyId: 'AKIAEXAMPLE', secretAccessKey: 'not checked' });

let moto: MotoServer;
let proxy: AwsProxy;
let store: AwsKmsKeyStore;
const instance = randomUUID();

function open(more: Partial<AwsKmsOptions> = {}): AwsKmsKeyStore {
  const { endpoint } = proxy;
  const connection = { endpoint, region: moto.region, credentials };
  return awsKmsKeyStore({ connection, instance, ...more });
}

beforeAll(async () => {
  moto = await startMoto();
  proxy = await startAwsProxy(moto.endpoint);
  // moto takes its time on a machine with other work.
  store = open({ deadline: 30_000 });
});
afterEach(() => proxy.mend());
afterAll(async () => {
  await store?.close();
  await proxy?.stop();
  await moto?.stop();
});

describeKeyStore('AWS KMS', async () => ({
  store,
  keyTypes: KEY_TYPES,
  givesBack: true,
  close: async () => undefined,
}));

/** Whoever works in AWS beside us. */
async function asAdministrator(): Promise<KMSClient> {
  const { endpoint, region } = moto;
  return new KMSClient({ endpoint, region, credentials: await credentials() });
}

async function verifies(handle: KeyHandle, data: Buffer, signature: Buffer): Promise<boolean> {
  const { keyObject } = readPublicKey(await store.publicKey(handle));
  return verifyWith(keyObject, data, signature, 'der');
}

describe('AWS KMS', () => {
  it('signs data that is far longer than what KMS takes: digests are made here', async () => {
    const handle = await store.generate('ec-p256');
    const data = Buffer.alloc(1_000_000, 7);
    const signature = await store.sign(handle, data, { format: 'der' });
    expect(await verifies(handle, data, signature)).toBe(true);
  });

  it('says what it does not make', async () => {
    await expect(store.generate('ed25519')).rejects.toMatchObject({
      code: 'OPERATION_NOT_SUPPORTED',
      message: expect.stringContaining('it makes ec-p256'),
    });
    expect(store.type).toBe('aws-kms');
    expect(await store.facts()).toMatchObject({
      description: 'AWS KMS in eu-central-1',
      hardware: true,
    });
  });

  it('finds by its name what a call made whose caller died; other names and installations have keys of their own', async () => {
    const first = await store.generate('ec-p256', { name: 'ca-issuing/1' });
    // As a new process would.
    expect(await open().generate('ec-p256', { name: 'ca-issuing/1' })).toBe(first);
    expect(await store.generate('ec-p256', { name: 'ca-issuing/2' })).not.toBe(first);
    const elsewhere = open({ instance: randomUUID() });
    expect(await elsewhere.generate('ec-p256', { name: 'ca-issuing/1' })).not.toBe(first);
    // A key of another kind, or that is to be deleted, is not what is asked for.
    expect(await store.generate('ec-p384', { name: 'ca-issuing/1' })).not.toBe(first);
    await store.remove(first);
    expect(await store.generate('ec-p256', { name: 'ca-issuing/1' })).not.toBe(first);
  });

  it('takes no key that somebody else has led its name to: one that was imported, or is not to sign', async () => {
    const kms = await asAdministrator();
    const planted = [
      { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY', Origin: 'EXTERNAL' },
      { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' },
      { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' },
    ] as const;
    const taken: boolean[] = [];
    for (const [i, input] of planted.entries()) {
      const { KeyMetadata } = await kms.send(new CreateKeyCommand(input));
      const AliasName = `alias/gigvault/${instance}/planted/${i}`;
      await kms.send(new CreateAliasCommand({ AliasName, TargetKeyId: KeyMetadata!.KeyId }));
      const handle = await store.generate('ec-p256', { name: `planted/${i}` });
      taken.push(handle === KeyMetadata!.KeyId);
    }
    kms.destroy();
    // The last one is as it should be: so it is not the alias that did not lead there.
    expect(taken).toEqual([false, false, true]);
  });

  it('removes by its name what nobody has a handle of', async () => {
    const handle = await store.generate('ec-p256', { name: 'left/2' });
    await store.namedKeys?.remove('ec-p384', 'left/2');
    for (const never of ['hmac-sha256', 'ed25519'] as const)
      await store.namedKeys?.remove(never, 'left/2');
    expect(await store.generate('ec-p256', { name: 'left/2' })).toBe(handle);
    for (let i = 0; i < 2; i++) await store.namedKeys?.remove('ec-p256', 'left/2');
    await expect(open().sign(handle, DATA, { format: 'der' })).rejects.toThrow();
    expect(await store.generate('ec-p256', { name: 'left/2' })).not.toBe(handle);
  });

  it('gives one key to all who ask for the same name at the same time', async () => {
    const all = Array.from({ length: 5 }, () => store.generate('ec-p256', { name: 'race/1' }));
    const handles = new Set(await Promise.all(all));
    expect(handles.size).toBe(1);
    for (const handle of handles)
      expect(await verifies(handle, DATA, await store.sign(handle, DATA, { format: 'der' }))).toBe(
        true,
      );
  });

  it('never asks twice for a key whose first request may have been done', async () => {
    proxy.fail('CreateKey', 'lost answer');
    const before = proxy.seen.length;
    await expect(store.generate('ec-p256')).rejects.toMatchObject({ code: 'KEY_UNAVAILABLE' });
    expect(proxy.seen.slice(before).filter((operation) => operation === 'CreateKey')).toHaveLength(
      1,
    );
  });
});

describe('AWS KMS that fails', () => {
  let handle: KeyHandle;
  beforeAll(async () => {
    handle = await store.generate('ec-p256');
    await store.sign(handle, DATA, { format: 'der' });
  });
  // Warm before it may fail: the first use loads AWS's client.
  let impatient: AwsKmsKeyStore;
  beforeAll(async () => {
    impatient = open({ deadline: 3_000 });
    await impatient.publicKey(handle);
  });
  afterAll(() => impatient?.close());
  const sign = () => store.sign(handle, DATA, { format: 'der' });

  it.each([
    ['too many requests', { error: 'ThrottlingException', status: 400 }],
    ['an error of its own', { error: 'KMSInternalException', status: 500 }],
    ['a lost connection', 'lost answer'],
  ] as const)('once is asked again: %s', async (_, fault) => {
    proxy.fail('Sign', fault, 1);
    expect(await verifies(handle, DATA, await sign())).toBe(true);
  });

  it.each([
    ['too many requests', { error: 'ThrottlingException', status: 400 }, 'too much to do'],
    ['no answer', 'silence', 'did not answer Sign within 3000 ms'],
    ['the key is disabled', { error: 'DisabledException', status: 400 }, 'disabled in AWS KMS'],
    ['no permission', { error: 'AccessDeniedException', status: 400 }, 'denies kms:Sign'],
    [
      'unknown credentials',
      { error: 'UnrecognizedClientException', status: 400 },
      'denies kms:Sign',
    ],
  ] as const)('for good is 503, in time, and says why: %s', async (_, fault, why) => {
    proxy.fail('Sign', fault);
    const begin = performance.now();
    const failure = { code: 'KEY_UNAVAILABLE', message: expect.stringContaining(why) };
    const signing = impatient.sign(handle, DATA, { format: 'der' });
    await expect(signing).rejects.toMatchObject(failure);
    expect(performance.now() - begin).toBeLessThan(6_000);
  });

  it('is red as long as it does not sign, although it answers, and tells nobody whose account it is', async () => {
    const message = 'User: arn:aws:iam::123456789012:user/pki is not authorized';
    proxy.fail('Sign', { error: 'AccessDeniedException', status: 400, message });
    const fresh = open();
    await expect(fresh.sign(handle, DATA, { format: 'der' })).rejects.toThrow('denies kms:Sign');
    proxy.mend();
    await fresh.sign(handle, DATA, { format: 'der' });
    proxy.fail('Sign', { error: 'AccessDeniedException', status: 400, message });
    const error = await fresh.check().then(
      () => undefined,
      (problem: Error) => problem,
    );
    expect(error).toMatchObject({ code: 'KEY_UNAVAILABLE' });
    expect(error?.message).not.toContain('123456789012');
    await expect(fresh.facts()).rejects.toThrow('denies kms:Sign');
    proxy.mend();
    await fresh.check();
    const asked = proxy.seen.length;
    await fresh.check();
    expect(await fresh.facts()).toMatchObject({ description: 'AWS KMS in eu-central-1' });
    expect(proxy.seen).toHaveLength(asked);
    await fresh.close();
  });

  it('is well when the key that it signed with last is gone', async () => {
    const gone = await store.generate('ec-p256');
    await store.sign(gone, DATA, { format: 'der' });
    await open().remove(gone);
    await expect(store.sign(gone, DATA, { format: 'der' })).rejects.toMatchObject({
      code: 'KEY_UNAVAILABLE',
    });
    await store.check();
  });

  it('of a key whose deletion was scheduled in AWS says so, and signs when that was cancelled — covers: T11', async () => {
    const kms = await asAdministrator();
    const [KeyId, known] = [await store.generate('ec-p256'), await store.generate('ec-p256')];
    await store.sign(known, DATA, { format: 'der' });
    for (const key of [KeyId, known])
      await kms.send(new ScheduleKeyDeletionCommand({ KeyId: key, PendingWindowInDays: 7 }));
    const scheduled = {
      code: 'KEY_UNAVAILABLE',
      message: 'The deletion of the key is scheduled in AWS KMS. Cancel it there.',
    };
    for (const key of [KeyId, known])
      await expect(store.sign(key, DATA, { format: 'der' })).rejects.toMatchObject(scheduled);
    await expect(store.publicKey(KeyId)).rejects.toMatchObject(scheduled);
    // Whoever destroys it has what they want.
    await store.remove(known);
    await kms.send(new CancelKeyDeletionCommand({ KeyId }));
    await kms.send(new EnableKeyCommand({ KeyId }));
    kms.destroy();
    expect(await verifies(KeyId, DATA, await store.sign(KeyId, DATA, { format: 'der' }))).toBe(
      true,
    );
    await expect(
      store.sign(randomUUID() as KeyHandle, DATA, { format: 'der' }),
    ).rejects.toMatchObject({ code: 'KEY_NOT_FOUND' });
  });

  it('waits until every part of it knows a new key', async () => {
    proxy.fail('GetPublicKey', { error: 'NotFoundException', status: 400 }, 2);
    const fresh = await store.generate('ec-p256');
    expect(await verifies(fresh, DATA, await store.sign(fresh, DATA, { format: 'der' }))).toBe(
      true,
    );
  });

  it('without a region or an endpoint that answers says so', async () => {
    const nowhere = open({
      connection: { region: 'eu-central-1', endpoint: 'http://127.0.0.1:9', credentials },
    });
    await expect(nowhere.check()).rejects.toThrow('AWS KMS failed at ListAliases');
    await nowhere.close();
  });
});
