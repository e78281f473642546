import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { generationSubject } from '@gigvault/x509/ca-generation';
import { type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { encodeName, formatName, readName } from '@gigvault/x509/name';
import { OID } from '@gigvault/x509/oid';
import { baseOf, type CreateIssuerDeps, storeIssuer, urlsOf } from '../issuers/create-issuer.ts';
import type { Issuer } from '../issuers/issuer-registry.ts';
import type { IssuerPlace, IssuerRecord } from '../ports/issuer-store.ts';
import { findLine, progressOf, type RotationProgress, successorId } from './begin-rotation.ts';

/**
 * Takes the certificate that the root has signed for the CA's next key: the issuer is there from now on, prepared, so that OCSP and CRLs make
 * themselves ready for it. What a CA certificate of this PKI says beyond name, key and time, the present one says: any other is refused.
 * Idempotent on the certificate, also when its issuer is current by now; that of a key which was to be followed is refused.
 * Errors: NOT_FOUND, INVALID_ARGUMENT, KEY_NOT_FOUND (the rotation was never begun), CONFLICT (another certificate was taken), UNAVAILABLE.
 */
export async function acceptSuccessor(
  deps: CreateIssuerDeps,
  { line, certificate }: { readonly line: string; readonly certificate: Buffer },
  actor: string,
): Promise<RotationProgress> {
  const { current, prepared, places } = await findLine(deps, line);
  for (const place of places) {
    const { record } = await deps.issuers.get(place.issuerId);
    if (!record.certificate.equals(certificate)) continue;
    refuseFollowed(place);
    return progressOf(place);
  }
  if (prepared !== undefined) {
    throw new GigvaultError(
      'CONFLICT',
      `'${prepared.issuerId}' has another certificate, and becomes current soon.`,
    );
  }
  const first = await deps.issuers.get(line);
  const generation = current.record.generation + 1;
  checkLikeness(
    parse(certificate),
    current,
    generationSubject(readName(first.certificate.subject), generation),
  );
  const record = successorOf(current.record, first.record, {
    certificate,
    generation,
    now: deps.clock.now(),
  });
  await storeIssuer(deps, record, actor);
  return { issuerId: record.issuerId, line, generation, state: 'prepared' };
}

/** A first key succeeds none; another one was handed in as it should be, until somebody wanted the key after it. */
function refuseFollowed({ issuerId, generation, state, successorBegun }: IssuerPlace): void {
  if (generation > 1 && !successorBegun) return;
  const which = state === 'current' ? 'present' : 'earlier';
  refuse(`is the ${which} one, of '${issuerId}', not its successor's`);
}

function successorOf(
  current: IssuerRecord,
  first: IssuerRecord,
  what: { readonly certificate: Buffer; readonly generation: number; readonly now: number },
): IssuerRecord {
  const { line } = current;
  const issuerId = successorId(line, what.generation);
  return {
    ...current,
    issuerId,
    generation: what.generation,
    certificate: what.certificate,
    keyId: successorId(first.keyId, what.generation),
    ...urlsOf(baseOf(current), issuerId),
    createdAt: what.now,
  };
}

function parse(certificate: Buffer): ParsedCertificate {
  try {
    return readCertificate(certificate);
  } catch (cause) {
    throw new GigvaultError('INVALID_ARGUMENT', 'This is not a certificate.', { cause });
  }
}

/** The next name, and every extension of the present certificate but the one that names the key. */
function checkLikeness(
  certificate: ParsedCertificate,
  current: Issuer,
  subject: ReturnType<typeof generationSubject>,
): void {
  if (!certificate.subject.equals(encodeName(subject)))
    refuse(
      `is for "${formatName(certificate.subject)}", the next key's name is "${formatName(subject)}"`,
    );
  if (!certificate.issuer.equals(current.certificate.issuer))
    refuse('was signed by another root than the present one');
  const [mine, theirs] = [current.certificate, certificate].map(comparable);
  if (mine !== theirs)
    refuse('says other things than the present one: URLs, constraints or key usage differ');
}

function comparable({ extensions }: ParsedCertificate): string {
  return JSON.stringify(
    [...extensions]
      .filter(([oid]) => oid !== OID.subjectKeyIdentifier)
      .map(([oid, { critical, value }]) => [oid, critical, value.toString('hex')])
      .sort(),
  );
}

function refuse(message: string): never {
  throw new GigvaultError('INVALID_ARGUMENT', `The certificate ${message}.`, {
    problems: [{ pointer: '/certificate', message }],
  });
}
