import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { buildCaTbsCertificate } from '@gigvault/x509/ca-certificate';
import { assembleSigned } from '@gigvault/x509/certificate';
import { readPublicKey } from '@gigvault/x509/public-key';
import { newSerialNumber } from '@gigvault/x509/serial-number';
import { signatureAlgorithm, signTbs } from '@gigvault/x509/signature';
import { produced } from './produced.ts';

const DAY = 86_400_000;

/** A CA of a test: its key, and a certificate that it signed itself. */
export interface SelfSignedCa {
  readonly privateKey: KeyObject;
  /** DER. */
  readonly certificate: Buffer;
}

/** Makes one, P-256, in force from a day before `now` (Unix ms) for ten years. */
export function selfSignedCa(commonName: string, now: number): SelfSignedCa {
  const key = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const publicKey = readPublicKey(key.publicKey.export({ type: 'spki', format: 'der' }));
  const subject = [{ type: 'CN', value: commonName }];
  const tbs = buildCaTbsCertificate({
    serialNumber: newSerialNumber(),
    issuer: subject,
    subject,
    publicKey,
    issuerKeyIdentifier: publicKey.keyIdentifier,
    signingKeyType: 'ec-p256',
    notBefore: now - DAY,
    notAfter: now + 3650 * DAY,
  });
  const signature = signTbs(key.privateKey, tbs);
  const der = assembleSigned(tbs, signatureAlgorithm('ec-p256'), signature);
  return { privateKey: key.privateKey, certificate: produced('authority', der) };
}
