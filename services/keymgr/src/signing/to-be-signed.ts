import type { SignatureFormat } from '@gigvault/keystore/key-store';
import { type ParsedTbsCertificate, readTbsCertificate } from '@gigvault/x509/certificate';
import { readTbsCertList } from '@gigvault/x509/crl';
import { readKeyUsage } from '@gigvault/x509/extension-values';
import { readResponseData } from '@gigvault/x509/ocsp';
import { OID } from '@gigvault/x509/oid';
import { signatureAlgorithm } from '@gigvault/x509/signature';
import type { Purpose } from '../keys/purposes.ts';
import { publicKeyOf, type StoredKey } from '../keys/stored-key.ts';
import { whyNoCheckpoint } from './checkpoint-note.ts';
import { whyNoJwsInput } from './jws-input.ts';

/** What a purpose demands of the bytes. */
export interface PurposeRule {
  /**
   * `intent`: recorded under an intent before it is answered. `count`: under an intent when one is given, otherwise counted. `none`: not even
   * told to audit, whose tree would grow by the signature of its own checkpoint, for ever.
   */
  readonly record: 'intent' | 'count' | 'none';
  readonly format: SignatureFormat;
  /** Who verifies the signature before it is of any use; `caller`: it alone, since one check costs three signatures (ADR 15). */
  readonly verifiedBy: 'keymgr' | 'caller';
  /** Checked before anything is parsed. */
  readonly maxOctets: number;
  /** Why the bytes are not what the purpose says, or undefined. May throw: bytes that do not parse are refused too. */
  readonly whyNot: (tbs: Buffer, key: StoredKey) => string | undefined;
}

const KIB = 1024;

/** One row a purpose. A new purpose is a row here, a caller in purposes.ts, and cells in the test's table. */
export const PURPOSE_RULES: Readonly<Record<Purpose, PurposeRule>> = {
  certSign: {
    record: 'intent',
    format: 'der',
    verifiedBy: 'caller',
    maxOctets: 64 * KIB,
    whyNot: (tbs, key) => whyNoCertificate(tbs, key, false),
  },
  caCertSign: {
    record: 'intent',
    format: 'der',
    verifiedBy: 'keymgr',
    maxOctets: 64 * KIB,
    whyNot: (tbs, key) => whyNoCertificate(tbs, key, true),
  },
  crlSign: {
    record: 'intent',
    format: 'der',
    verifiedBy: 'keymgr',
    maxOctets: 64 * KIB * KIB,
    whyNot: whyNoCertList,
  },
  ocspSign: {
    record: 'count',
    format: 'der',
    verifiedBy: 'caller',
    maxOctets: 256 * KIB,
    whyNot: whyNoResponseData,
  },
  auditSign: {
    record: 'none',
    format: 'der',
    verifiedBy: 'keymgr',
    maxOctets: 4 * KIB,
    whyNot: whyNoCheckpoint,
  },
  jwtSign: {
    record: 'count',
    format: 'p1363',
    verifiedBy: 'keymgr',
    maxOctets: 16 * KIB,
    whyNot: (tbs, key) => whyNoJwsInput(tbs, publicKeyOf(key).keyType),
  },
};

/** Why the key may not sign these bytes for this purpose, or undefined when it may. Never throws. */
export function whyRefused(purpose: Purpose, tbs: Buffer, key: StoredKey): string | undefined {
  const rule = PURPOSE_RULES[purpose];
  if (tbs.length === 0 || tbs.length > rule.maxOctets) return `${tbs.length} octets`;
  try {
    return rule.whyNot(tbs, key);
  } catch (error) {
    return `not what ${purpose} signs: ${(error as Error).message}`;
  }
}

function whyNoCertificate(tbs: Buffer, key: StoredKey, ca: boolean): string | undefined {
  const certificate = readTbsCertificate(tbs);
  if (certificate.isCa !== ca) return ca ? 'cA is not TRUE' : 'cA is TRUE';
  if (!ca && signsForOthers(certificate)) return 'keyUsage lets it sign certificates or CRLs';
  return whyOtherIssuer(certificate, key);
}

/** keyCertSign or cRLSign without cA TRUE: some verifiers would take such a certificate for a CA's. */
function signsForOthers({ extensions }: ParsedTbsCertificate): boolean {
  const keyUsage = extensions.get(OID.keyUsage);
  if (keyUsage === undefined) return false;
  const usages = readKeyUsage(keyUsage.value);
  return usages.includes('keyCertSign') || usages.includes('cRLSign');
}

function whyNoCertList(tbs: Buffer, key: StoredKey): string | undefined {
  return whyOtherIssuer(readTbsCertList(tbs), key);
}

function whyNoResponseData(tbs: Buffer, key: StoredKey): string | undefined {
  const { responderKeyHash } = readResponseData(tbs);
  return responderKeyHash.equals(publicKeyOf(key).keyIdentifier)
    ? undefined
    : 'responder is another key';
}

/** Why what is to be signed is not of this key's CA, or undefined when it is. */
export function whyOtherIssuer(
  content: { readonly issuer: Buffer; readonly signatureAlgorithm: Buffer },
  key: StoredKey,
): string | undefined {
  if (key.issuerName === null || !content.issuer.equals(key.issuerName))
    return 'issuer is another name';
  const expected = signatureAlgorithm(publicKeyOf(key).keyType);
  return content.signatureAlgorithm.equals(expected)
    ? undefined
    : 'signature algorithm is not the key’s';
}
