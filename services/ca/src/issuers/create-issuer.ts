import { hash } from 'node:crypto';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { CreateIssuerRequest, Issuer as WireIssuer } from '@gigvault/proto/ca/v1/issuer';
import type { Clock } from '@gigvault/time/clock';
import { type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { verifySignature } from '@gigvault/x509/signature';
import type { CaEvent } from '../ports/event.ts';
import type { IssuerRecord, IssuerStore } from '../ports/issuer-store.ts';
import type { KeyDirectory } from '../ports/signer.ts';
import type { IssuerRegistry } from './issuer-registry.ts';
import { toWireIssuer } from './list-issuers.ts';

/** What creating an issuer needs. */
export interface CreateIssuerDeps {
  readonly store: IssuerStore;
  readonly issuers: IssuerRegistry;
  readonly keys: KeyDirectory;
  readonly clock: Clock;
}

const ISSUER_ID = /^[a-z0-9-]{1,63}$/;
const MAX_SHARDS = 1024;
const OCSP_PATH = '/ocsp';

/**
 * Registers an issuing CA that the root has signed and whose key keymgr holds. The URLs that stand in its certificates are fixed
 * here for ever. The keys of the whole chain are blocked for subscribers. Idempotent on issuer_id and certificate.
 * Errors: INVALID_ARGUMENT, KEY_NOT_FOUND, ALREADY_EXISTS, UNAVAILABLE.
 */
export async function createIssuer(
  deps: CreateIssuerDeps,
  request: CreateIssuerRequest,
  actor: string,
): Promise<WireIssuer> {
  return toWireIssuer(await storeIssuer(deps, toRecord(request, deps.clock.now()), actor), {
    state: 'current',
  });
}

/**
 * Checks path and key, and stores the issuer with its event; one that is stored already with this certificate is returned.
 * Errors: INVALID_ARGUMENT, KEY_NOT_FOUND, ALREADY_EXISTS, UNAVAILABLE.
 */
export async function storeIssuer(
  deps: CreateIssuerDeps,
  record: IssuerRecord,
  actor: string,
): Promise<IssuerRecord> {
  const path = [record.certificate, ...record.chain].map(readOne);
  checkPath(path, deps.clock.now());
  await checkKey(deps.keys, record, path);
  const created = await deps.store.create(
    record,
    path.map((certificate) => certificate.publicKey.spkiSha256),
    createdEvent(record, actor),
  );
  const { record: stored } = await deps.issuers.get(record.issuerId);
  if (!created && !stored.certificate.equals(record.certificate)) {
    throw new GigvaultError(
      'ALREADY_EXISTS',
      `Issuer '${record.issuerId}' exists with another certificate.`,
      {
        details: { issuerId: record.issuerId },
      },
    );
  }
  return stored;
}

function toRecord(request: CreateIssuerRequest, now: number): IssuerRecord {
  const { issuerId, certificate, chain, keyId } = request;
  if (!ISSUER_ID.test(issuerId))
    refuse('/issuerId', 'must be 1 to 63 of a to z, 0 to 9 and dashes');
  const crlShards = request.crlShards === 0 ? 1 : request.crlShards;
  if (crlShards > MAX_SHARDS) refuse('/crlShards', `must be 1 to ${MAX_SHARDS}`);
  const base = statusUrl(request.statusPublicUrl);
  return {
    issuerId,
    line: issuerId,
    generation: 1,
    certificate,
    chain,
    keyId,
    crlShards,
    ...urlsOf(base, issuerId),
    public: request.public,
    createdAt: now,
  };
}

/** The URLs that stand in the certificates of an issuer. @param base status.publicUrl */
export function urlsOf(
  base: string,
  issuerId: string,
): Pick<IssuerRecord, 'ocspUrl' | 'crlBaseUrl' | 'issuerUrl'> {
  return {
    ocspUrl: `${base}${OCSP_PATH}`,
    crlBaseUrl: `${base}/crl/${issuerId}`,
    issuerUrl: `${base}/ca/${issuerId}.crt`,
  };
}

/** The base of an issuer's URLs. */
export function baseOf({ ocspUrl }: Pick<IssuerRecord, 'ocspUrl'>): string {
  return ocspUrl.slice(0, -OCSP_PATH.length);
}

/** Plain HTTP as RFC 5280 §4.2.1.13 and §8 advise: whoever checks a certificate for TLS must not need TLS for it. */
function statusUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (
    url === undefined ||
    !/^https?:$/.test(url.protocol) ||
    url.search !== '' ||
    url.hash !== ''
  ) {
    refuse('/statusPublicUrl', 'must be an http URL');
  }
  return text.replace(/\/+$/, '');
}

function readOne(der: Buffer, index: number): ParsedCertificate {
  try {
    return readCertificate(der);
  } catch (cause) {
    const pointer = index === 0 ? '/certificate' : `/chain/${index - 1}`;
    throw new GigvaultError('INVALID_ARGUMENT', `${pointer} is not a certificate.`, { cause });
  }
}

/** Each certificate is a CA's, in force, and signed by the next; the last one by itself. */
function checkPath(path: readonly ParsedCertificate[], now: number): void {
  for (const [index, certificate] of path.entries()) {
    const pointer = index === 0 ? '/certificate' : `/chain/${index - 1}`;
    const issuer = path[index + 1] ?? certificate;
    if (!certificate.isCa) refuse(pointer, 'is not a CA certificate');
    if (now < certificate.notBefore || now > certificate.notAfter)
      refuse(pointer, 'is not in force');
    if (!certificate.issuer.equals(issuer.subject))
      refuse(pointer, 'was not issued by the next of the chain');
    const { tbs, signature, signatureAlgorithm } = certificate;
    if (!verifySignature(issuer.publicKey.keyObject, signatureAlgorithm, tbs, signature)) {
      refuse(pointer, 'has a signature that does not verify');
    }
  }
  if (path.length < 2) refuse('/chain', 'must lead up to the root');
}

async function checkKey(
  keys: KeyDirectory,
  record: IssuerRecord,
  [certificate]: readonly ParsedCertificate[],
): Promise<void> {
  const spki = await keys.publicKeyOf(record.keyId);
  if (certificate?.publicKey.spki.equals(spki)) return;
  refuse('/keyId', `key '${record.keyId}' is not the key of the certificate`);
}

function createdEvent(record: IssuerRecord, actor: string): CaEvent {
  const { issuerId, line, generation, keyId, crlShards, ocspUrl, crlBaseUrl, issuerUrl } = record;
  return {
    type: 'issuer.created',
    actor,
    subject: issuerId,
    data: {
      issuerId,
      line,
      generation,
      keyId,
      crlShards,
      ocspUrl,
      crlBaseUrl,
      issuerUrl,
      public: record.public,
      certificateSha256: hash('sha256', record.certificate, 'hex'),
    },
  };
}

function refuse(pointer: string, message: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', `${pointer.slice(1)} ${message}.`, {
    problems: [{ pointer, message }],
  });
}
