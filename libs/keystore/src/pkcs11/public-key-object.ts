import { bitString, DerReader, integer, nullValue, oid, sequence } from '@gigvault/x509/der';
import { OID } from '@gigvault/x509/oid';
import type { KeyType } from '@gigvault/x509/public-key';
import graphene, { type SessionObject } from 'graphene-pk11';
import { KEY_MECHANISMS } from './mechanisms.ts';
import { unavailable } from './return-value.ts';

/** Octets of a point: uncompressed (SEC 1 §2.3.3), or as RFC 8032 §5.1.2 has it. */
const POINT_OCTETS: Partial<Readonly<Record<KeyType, number>>> = {
  'ec-p256': 65,
  'ec-p384': 97,
  'ec-p521': 133,
  ed25519: 32,
};

/** SubjectPublicKeyInfo of a public key object. Errors: KEY_UNAVAILABLE for a key that GigVault does not know. */
export function subjectPublicKeyInfoOf(object: SessionObject): Buffer {
  const keyType = object.getAttribute('keyType');
  if (keyType === graphene.KeyType.RSA) {
    const { modulus, publicExponent } = object.getAttribute({
      modulus: null,
      publicExponent: null,
    });
    return sequence(
      sequence(oid(OID.rsaEncryption), nullValue()),
      bitString(sequence(integer(modulus as Buffer), integer(publicExponent as Buffer))),
    );
  }
  return ecSubjectPublicKeyInfo(object);
}

function ecSubjectPublicKeyInfo(object: SessionObject): Buffer {
  const { paramsECDSA, pointEC } = object.getAttribute({ paramsECDSA: null, pointEC: null });
  const parameters = paramsECDSA as Buffer;
  const keyType = (Object.keys(POINT_OCTETS) as KeyType[]).find((type) =>
    KEY_MECHANISMS[type].parameters?.equals(parameters),
  );
  if (keyType === undefined) {
    throw unavailable('The key is on a curve that GigVault does not know.');
  }
  const point = bitString(pointOf(pointEC as Buffer, POINT_OCTETS[keyType] as number));
  return keyType === 'ed25519'
    ? sequence(sequence(oid(OID.ed25519)), point)
    : sequence(sequence(oid(OID.ecPublicKey), parameters), point);
}

/** CKA_EC_POINT is the point in an OCTET STRING (PKCS #11 v3.1 §6.3.3); some libraries leave that away. The length tells. */
function pointOf(value: Buffer, octets: number): Buffer {
  return value.length === octets ? value : new DerReader(value).octetString();
}
