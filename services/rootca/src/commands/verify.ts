import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '@gigvault/time/clock';
import { isSignedBy, type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { verifySignature } from '@gigvault/x509/signature';
import { verifyTranscript } from '../ceremony/transcript.ts';
import { ROOT_FILES, readPem, readText } from './root-directory.ts';

/** One thing that was looked at. */
export interface Check {
  readonly what: string;
  /** Undefined: it is well. */
  readonly problem: string | undefined;
}

/** `rootca verify`: looks at a directory as a stranger would, without the key: certificates, CRL, transcripts. */
export function verify(directory: string, clock: Clock): Check[] {
  const root = readCertificate(readPem(join(directory, ROOT_FILES.certificate), 'CERTIFICATE'));
  const files = readdirSync(directory).sort();
  return files.flatMap((file) => {
    const path = join(directory, file);
    if (file.endsWith('.crt'))
      return [check(file, () => checkCertificate(path, root, clock.now()))];
    if (file.endsWith('.crl')) return [check(file, () => checkCrl(path, root, clock.now()))];
    if (file.endsWith('transcript.json')) {
      return [check(file, () => checkTranscript(path, root))];
    }
    return [];
  });
}

function check(what: string, run: () => string | undefined): Check {
  try {
    return { what, problem: run() };
  } catch (error) {
    return { what, problem: (error as Error).message };
  }
}

function checkCertificate(path: string, root: ParsedCertificate, now: number): string | undefined {
  const certificate = readCertificate(readPem(path, 'CERTIFICATE'));
  if (!certificate.isCa) return 'is not a CA certificate';
  if (!isSignedBy(certificate, root)) return 'is not signed by the root';
  return now < certificate.notBefore || now > certificate.notAfter ? 'is not valid now' : undefined;
}

function checkCrl(path: string, root: ParsedCertificate, now: number): string | undefined {
  const list = readCertList(readPem(path, 'X509 CRL'));
  const { signatureAlgorithm, tbs, signature } = list;
  const signed = verifySignature(root.publicKey.keyObject, signatureAlgorithm, tbs, signature);
  if (!signed || !list.issuer.equals(root.subject)) return 'is not signed by the root';
  return now > list.nextUpdate ? 'is overdue' : undefined;
}

function checkTranscript(path: string, root: ParsedCertificate): undefined {
  verifyTranscript(readText(path), root.der);
  return undefined;
}
