import { createPrivateKey, type KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { openSecretKey } from './sealed-secret.ts';
import type { SecretKey } from './secret-key.ts';

/** The file of a private key. */
export function pkcs8File(directory: string, handle: string): string {
  return join(directory, `${handle}.p8`);
}

/** The file of a key without a public half. */
export function secretFile(directory: string, handle: string): string {
  return join(directory, `${handle}.jwe`);
}

/** `ENCRYPTED PRIVATE KEY` in PEM: PBES2, PBKDF2 with HMAC-SHA-256, AES-256-CBC. The passphrase must hold 128 random bits or more. */
export function encryptedPkcs8(privateKey: KeyObject, passphrase: string | Buffer): string {
  return (
    privateKey
      // Octets do as well; the types know texts only.
      .export({
        type: 'pkcs8',
        format: 'pem',
        cipher: 'aes-256-cbc',
        passphrase: passphrase as string,
      })
      .toString()
  );
}

/** What encryptedPkcs8 made. Throws for anything else, and for another passphrase. */
export function openPkcs8(pem: Buffer, passphrase: Buffer): KeyObject {
  return createPrivateKey({ key: pem, format: 'pem', passphrase });
}

/** What sealSecretKey made. Throws for anything else, and for another passphrase. */
export function openJwe(jwe: Buffer, passphrase: Buffer): Promise<SecretKey> {
  return openSecretKey(jwe.toString(), passphrase);
}
