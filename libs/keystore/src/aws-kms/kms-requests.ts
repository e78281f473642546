import type { KeyMetadata } from '@aws-sdk/client-kms';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { type KeyHandle, parseKeyHandle } from '../key-store.ts';
import type { KmsAlgorithm } from './kms-algorithm.ts';
import type { KmsClient } from './kms-client.ts';

/** What is asked of KMS about keys. Errors of each: KEY_NOT_FOUND, KEY_UNAVAILABLE. */
export type KmsRequests = ReturnType<typeof kmsRequests> & ReturnType<typeof aliasRequests>;

/** See KmsRequests. */
export function kmsRequests(client: KmsClient) {
  return {
    ...aliasRequests(client),
    /** One attempt: after the second of two there could be two keys. */
    async createKey(
      { keySpec }: KmsAlgorithm,
      description: string,
      tags: Readonly<Record<string, string>>,
    ): Promise<KeyHandle> {
      const Tags = Object.entries(tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
      const KeyUsage = 'SIGN_VERIFY';
      const input = { KeySpec: keySpec, KeyUsage, Description: description, Tags } as const;
      const { KeyMetadata } = await client.askOnce('CreateKey', (kms, sender, abortSignal) =>
        sender.send(new kms.CreateKeyCommand(input), { abortSignal }),
      );
      return parseKeyHandle(KeyMetadata?.KeyId ?? '');
    },
    async publicKey(handle: KeyHandle): Promise<Buffer> {
      const { PublicKey } = await client.ask('GetPublicKey', (kms, sender, abortSignal) =>
        sender.send(new kms.GetPublicKeyCommand({ KeyId: handle }), { abortSignal }),
      );
      if (PublicKey !== undefined) return Buffer.from(PublicKey);
      throw new GigvaultError('KEY_UNAVAILABLE', 'AWS KMS answered without a public key.');
    },
    /** False also for one that waits for its end. */
    async isThere(handle: KeyHandle): Promise<boolean> {
      try {
        const { KeyMetadata } = await client.ask('DescribeKey', (kms, sender, abortSignal) =>
          sender.send(new kms.DescribeKeyCommand({ KeyId: handle }), { abortSignal }),
        );
        return KeyMetadata?.DeletionDate === undefined;
      } catch (error) {
        if ((error as GigvaultError).code === 'KEY_NOT_FOUND') return false;
        throw error;
      }
    },
    /** @param days until its end, 7 to 30 */
    async scheduleDeletion(handle: KeyHandle, days: number): Promise<void> {
      const input = { KeyId: handle, PendingWindowInDays: days };
      await client.ask('ScheduleKeyDeletion', (kms, sender, abortSignal) =>
        sender.send(new kms.ScheduleKeyDeletionCommand(input), { abortSignal }),
      );
    },
  };
}

/** Who may make aliases could lead one to a key that was imported, and so is known elsewhere. */
const MADE_IN_KMS: readonly unknown[] = ['AWS_KMS', 'AWS_CLOUDHSM'];

function isOurs(
  { KeySpec, KeyState, KeyUsage, Origin }: KeyMetadata,
  keySpec: KmsAlgorithm['keySpec'],
): boolean {
  const signs = KeySpec === keySpec && KeyUsage === 'SIGN_VERIFY' && KeyState === 'Enabled';
  return signs && MADE_IN_KMS.includes(Origin);
}

function aliasRequests(client: KmsClient) {
  return {
    /** The key of this alias, when it is of this kind, signs, and was made in KMS; undefined when there is none. */
    async underAlias(alias: string, { keySpec }: KmsAlgorithm): Promise<KeyHandle | undefined> {
      try {
        const { KeyMetadata } = await client.ask('DescribeKey', (kms, sender, abortSignal) =>
          sender.send(new kms.DescribeKeyCommand({ KeyId: alias }), { abortSignal }),
        );
        return KeyMetadata !== undefined && isOurs(KeyMetadata, keySpec)
          ? parseKeyHandle(KeyMetadata.KeyId ?? '')
          : undefined;
      } catch (error) {
        if ((error as GigvaultError).code === 'KEY_NOT_FOUND') return undefined;
        throw error;
      }
    },
    /** False: another key has it. */
    async takeAlias(alias: string, handle: KeyHandle): Promise<boolean> {
      const input = { AliasName: alias, TargetKeyId: handle };
      try {
        await client.ask('CreateAlias', (kms, sender, abortSignal) =>
          sender.send(new kms.CreateAliasCommand(input), { abortSignal }),
        );
        return true;
      } catch (error) {
        const cause = (error as GigvaultError).cause as Error | undefined;
        if (cause?.name === 'AlreadyExistsException') return false;
        throw error;
      }
    },
    async aliasesOf(handle: KeyHandle): Promise<string[]> {
      const { Aliases = [] } = await client.ask('ListAliases', (kms, sender, abortSignal) =>
        sender.send(new kms.ListAliasesCommand({ KeyId: handle }), { abortSignal }),
      );
      return Aliases.flatMap(({ AliasName }) => AliasName ?? []);
    },
    async deleteAlias(alias: string): Promise<void> {
      await client.ask('DeleteAlias', (kms, sender, abortSignal) =>
        sender.send(new kms.DeleteAliasCommand({ AliasName: alias }), { abortSignal }),
      );
    },
    async listAliases(): Promise<void> {
      await client.ask('ListAliases', (kms, sender, abortSignal) =>
        sender.send(new kms.ListAliasesCommand({ Limit: 1 }), { abortSignal }),
      );
    },
  };
}
