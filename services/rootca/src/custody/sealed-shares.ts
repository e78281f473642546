import { hkdfSync } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { compactDecrypt } from 'jose/jwe/compact/decrypt';
import { CompactEncrypt } from 'jose/jwe/compact/encrypt';
import { decodeShare, encodeShare, type Share } from './share.ts';
import { wipeOctets } from './split-secret.ts';

const HEADER = { alg: 'dir', enc: 'A256GCM' } as const;

/**
 * All shares of a set, as a JWE (RFC 7516) under the secret that they are shares of: once enough holders have theirs, and only then, those who have
 * none can have theirs back.
 */
export async function sealShares(shares: readonly Share[], secret: Buffer): Promise<string> {
  const words = shares.map((share) => encodeShare(share).join(' '));
  const plaintext = Buffer.from(JSON.stringify(words));
  const key = keyOf(secret);
  const jwe = new CompactEncrypt(plaintext).setProtectedHeader(HEADER).encrypt(key);
  return jwe.finally(() => wipeOctets(plaintext, key));
}

/** Errors: INVALID_ARGUMENT for another secret or text that was changed. */
export async function unsealShares(sealed: string, secret: Buffer): Promise<Share[]> {
  const key = keyOf(secret);
  try {
    const { plaintext } = await compactDecrypt(sealed, key);
    const words = new TextDecoder().decode(plaintext);
    wipeOctets(plaintext);
    return (JSON.parse(words) as string[]).map(decodeShare);
  } catch (cause) {
    throw new GigvaultError('INVALID_ARGUMENT', 'The shares that are left cannot be read.', {
      cause,
    });
  } finally {
    wipeOctets(key);
  }
}

/** The secret itself is the passphrase of the key's file; nothing else is encrypted under it. */
function keyOf(secret: Buffer): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', 'GigVault ceremony shares v1', 32));
}
