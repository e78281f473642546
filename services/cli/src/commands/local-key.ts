import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import type { GeneralName } from '@gigvault/x509/general-name';
import { toPem } from '@gigvault/x509/pem';
import { usage } from '../failure.ts';
import type { KEY_TYPES } from '../program/options.ts';

const NAME_TYPES = ['dns', 'ip', 'email', 'uri'] as const;

/** A new private key. */
export function newPrivateKey(keyType: (typeof KEY_TYPES)[number]): KeyObject {
  const generate = {
    'ec-p256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
    'ec-p384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }),
    'rsa-2048': () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
    'rsa-3072': () => generateKeyPairSync('rsa', { modulusLength: 3072 }),
  };
  return generate[keyType]().privateKey;
}

/** A PKCS#10 request in PEM for a common name and further names. */
export function newCertificationRequest(
  privateKey: KeyObject,
  commonName: string,
  names: readonly GeneralName[],
): string {
  const subject = [{ type: 'CN', value: commonName }];
  return toPem(
    'CERTIFICATE REQUEST',
    buildCertificationRequest({ privateKey, subject, subjectAltName: names }),
  );
}

/** The names of a certificate: the common name first, then `--san` and `--ip`, without repeats. */
export function namesOf(
  commonName: string,
  sans: readonly string[],
  ips: readonly string[],
): GeneralName[] {
  const names = [parseName(commonName), ...sans.map(parseName), ...ips.map(parseIp)];
  return names.filter(
    (name, i) => names.findIndex((n) => n.type === name.type && n.value === name.value) === i,
  );
}

function parseName(text: string): GeneralName {
  const [, prefix, rest] = /^(dns|ip|email|uri):(.+)$/i.exec(text) ?? [];
  const type = NAME_TYPES.find((candidate) => candidate === prefix?.toLowerCase());
  if (type && rest) return type === 'ip' ? parseIp(rest) : { type, value: rest };
  if (isIP(text)) return { type: 'ip', value: text };
  return { type: 'dns', value: text.toLowerCase() };
}

function parseIp(value: string): GeneralName {
  if (!isIP(value)) throw usage(`"${value}" is not an IP address.`);
  return { type: 'ip', value };
}
