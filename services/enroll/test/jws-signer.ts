import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** A key that signs requests as an ACME client does. */
export interface JwsSigner {
  readonly alg: string;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly jwk: Record<string, unknown>;
}

const HASH: Record<string, string | null> = {
  ES256: 'sha256',
  ES384: 'sha384',
  ES512: 'sha512',
  RS256: 'sha256',
  EdDSA: null,
};

/** A new key for the algorithm. */
export function jwsSigner(alg = 'ES256'): JwsSigner {
  const { privateKey, publicKey } = generate(alg);
  return {
    alg,
    privateKey,
    publicKey,
    jwk: publicKey.export({ format: 'jwk' }) as Record<string, unknown>,
  };
}

/** A signer of an existing private key, for requests signed by a certificate's key. */
export function signerOf(privateKey: KeyObject, publicKey: KeyObject): JwsSigner {
  return {
    alg: 'ES256',
    privateKey,
    publicKey,
    jwk: publicKey.export({ format: 'jwk' }) as Record<string, unknown>,
  };
}

/** A flattened JWS; the payload is JSON, or '' for POST-as-GET. */
export function signJws(
  signer: JwsSigner,
  header: Record<string, unknown>,
  payload: unknown,
): Buffer {
  const text = payload === '' ? '' : JSON.stringify(payload);
  return signRaw(signer, JSON.stringify({ alg: signer.alg, ...header }), Buffer.from(text));
}

/** A flattened JWS over exactly these octets. */
export function signRaw(signer: JwsSigner, header: string, payload: Buffer): Buffer {
  const encodedHeader = Buffer.from(header).toString('base64url');
  const encodedPayload = payload.toString('base64url');
  const signature = sign(
    HASH[signer.alg] ?? null,
    Buffer.from(`${encodedHeader}.${encodedPayload}`),
    {
      key: signer.privateKey,
      dsaEncoding: 'ieee-p1363',
    },
  );
  return Buffer.from(
    JSON.stringify({
      protected: encodedHeader,
      payload: encodedPayload,
      signature: signature.toString('base64url'),
    }),
  );
}

function generate(alg: string): { privateKey: KeyObject; publicKey: KeyObject } {
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519');
  if (alg === 'RS256') return generateKeyPairSync('rsa', { modulusLength: 2048 });
  const namedCurve = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }[alg] ?? 'P-256';
  return generateKeyPairSync('ec', { namedCurve });
}
