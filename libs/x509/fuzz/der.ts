import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { readCertificate, readTbsCertificate } from '../src/certificate.ts';
import { readCertList } from '../src/crl.ts';
import { DerReader } from '../src/der.ts';
import { TAG } from '../src/der-tag.ts';
import { readExtensionList } from '../src/extension.ts';
import {
  readAuthorityInfoAccess,
  readAuthorityKeyIdentifier,
  readBasicConstraints,
  readCertificatePolicies,
  readCrlDistributionPoints,
  readExtendedKeyUsage,
  readKeyUsage,
  readSubjectKeyIdentifier,
} from '../src/extension-values.ts';
import { readGeneralNames } from '../src/general-name.ts';
import { formatName, readName } from '../src/name.ts';
import { readResponseData } from '../src/ocsp.ts';
import { readOcspResponse } from '../src/ocsp-client.ts';
import { readPublicKey } from '../src/public-key.ts';

/** Everything that reads DER, each of the whole input. */
export const DER_READERS: Readonly<Record<string, (der: Buffer) => unknown>> = {
  walk: (der) => walk(new DerReader(der)),
  readCertificate: (der) => readCertificate(der).publicKey,
  readTbsCertificate,
  readCertList: (der) => [...readCertList(der).entries()],
  readOcspResponse,
  readResponseData,
  readPublicKey,
  readName: (der) => [readName(der), formatName(der)],
  readGeneralNames: (der) => readGeneralNames(der, 'skip'),
  readExtensionList: (der) => readExtensionList(new DerReader(der)),
  readKeyUsage,
  readExtendedKeyUsage,
  readBasicConstraints,
  readAuthorityKeyIdentifier,
  readSubjectKeyIdentifier,
  readCrlDistributionPoints,
  readAuthorityInfoAccess,
  readCertificatePolicies,
};

/**
 * Jazzer.js's entry: nothing but the readers' own errors may come out of any bytes.
 *
 * @public scripts/fuzz/run.mjs calls it.
 */
export function fuzz(data: Buffer): void {
  for (const read of Object.values(DER_READERS)) {
    try {
      read(data);
    } catch (error) {
      if (!(error instanceof GigvaultError)) throw error;
    }
  }
}

/** Takes each element as what its tag says. */
function walk(reader: DerReader): void {
  while (!reader.done) {
    const tag = reader.peek();
    if (tag === TAG.oid) reader.oid();
    else if (tag === TAG.integer) reader.integer();
    else if (tag === TAG.boolean) reader.boolean();
    else if (tag === TAG.null) reader.null();
    else if (tag === TAG.bitString) reader.bitString();
    else if (tag === TAG.utcTime || tag === TAG.generalizedTime) reader.time();
    else if ((tag & 0x20) !== 0) walk(reader.enter(tag));
    else if (tag === TAG.utf8String || tag === TAG.printableString) reader.string();
    else reader.content();
  }
}
