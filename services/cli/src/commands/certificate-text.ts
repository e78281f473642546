import { X509Certificate } from 'node:crypto';
import { formatSerialNumber, parseSerialNumber } from '@gigvault/x509/serial-number';
import { CliFailure, usage } from '../failure.ts';
import type { Style } from '../output/style.ts';
import { day, span } from '../output/times.ts';
import type { Session } from '../session.ts';
import { readInput } from './files.ts';

/** What people want to know of a certificate. Times are Unix milliseconds. */
export interface CertificateFacts {
  /** Lower-case hex. */
  readonly serialNumber: string;
  /** Common names. */
  readonly subject: string;
  readonly issuer: string;
  /** As `api.localhost`, `127.0.0.1`. */
  readonly names: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
}

/** The facts of a parsed certificate. */
export function factsOf(certificate: X509Certificate): CertificateFacts {
  return {
    serialNumber: parseSerialNumber(certificate.serialNumber),
    subject: commonName(certificate.subject),
    issuer: commonName(certificate.issuer),
    names: alternativeNames(certificate),
    notBefore: certificate.validFromDate.getTime(),
    notAfter: certificate.validToDate.getTime(),
  };
}

/** Every certificate of a PEM text, in order. Fails when there is none. */
export function certificatesOf(pem: string, where: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  if (blocks.length === 0) throw usage(`${where} holds no certificate in PEM form.`);
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    throw usage(`${where} holds a certificate that cannot be read.`);
  }
}

/** PEM of what a server presents: the first certificate and its intermediates, without the root, which peers have or do not trust (RFC 8446 §4.4.2). */
export function presentedChain(certificates: readonly X509Certificate[]): string {
  const [leaf, ...issuers] = certificates;
  return [leaf, ...issuers.filter(({ subject, issuer }) => subject !== issuer)].join('');
}

/** The serial number that was typed, or that of a certificate file that was named. */
export async function serialNumberOf(
  session: Session,
  text: string,
  decimal: boolean,
): Promise<string> {
  if (!/[/\\]|\.(crt|pem|cer)$/.test(text)) return typedSerialNumber(text, decimal);
  const [leaf] = certificatesOf(await readInput(session.terminal, text), text);
  return parseSerialNumber((leaf as X509Certificate).serialNumber);
}

function typedSerialNumber(text: string, decimal: boolean): string {
  try {
    return parseSerialNumber(text, { decimal });
  } catch (cause) {
    const name = /^[\w.@-]+$/.test(text) ? text : '<name>';
    throw new CliFailure(`"${text}" is not a serial number`, {
      code: 'INVALID_ARGUMENT',
      tries: [
        {
          command: `gigvault cert list --cn ${name}`,
          note: 'serial numbers; the file of a certificate does as well, as ./api.crt',
        },
      ],
      cause,
    });
  }
}

/** `5f:03:…:c2` on a terminal, where the whole one would push the rest off the line; otherwise the whole. */
export function shortSerial(serialNumber: string, { colour }: Style): string {
  const whole = formatSerialNumber(serialNumber);
  const parts = whole.split(':');
  return colour && parts.length > 6
    ? [...parts.slice(0, 2), '…', ...parts.slice(-1)].join(':')
    : whole;
}

/** `2026-11-21 → 2027-01-07 (47 days)`. */
export function validityText({ notBefore, notAfter }: CertificateFacts): string {
  return `${day(notBefore)} → ${day(notAfter)} (${span(notAfter - notBefore).replace(/ d$/, ' days')})`;
}

/** When two thirds of the life are over: the day from which it should be renewed. */
export function renewsFrom({ notBefore, notAfter }: CertificateFacts): number {
  return notBefore + Math.floor(((notAfter - notBefore) * 2) / 3);
}

function commonName(distinguishedName: string): string {
  return /^CN=(.*)$/m.exec(distinguishedName)?.[1] ?? distinguishedName.replaceAll('\n', ', ');
}

function alternativeNames({ subjectAltName }: X509Certificate): string[] {
  return (subjectAltName ?? '')
    .split(', ')
    .filter(Boolean)
    .map((name) => name.replace(/^(DNS|IP Address|URI|email):/, ''));
}
