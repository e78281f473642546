import { readFileSync } from 'node:fs';
import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { fuzz as fuzzCsr } from '../fuzz/csr.ts';
import { DER_READERS } from '../fuzz/der.ts';
import { fuzz as fuzzOcspRequest } from '../fuzz/ocsp-request.ts';
import { damaged } from '../test/arbitraries.ts';
import { newAuthority, TLS_SERVER } from '../test/authority.ts';
import { readTbsCertificateLayout, readValidity } from './certificate.ts';
import { readCrlEntry, readTbsCertList } from './crl.ts';
import { DerReader, sequence } from './der.ts';
import { normalizeDnsName } from './dns-name.ts';
import { readFullName } from './extension-values.ts';
import { normalizeGeneralName, parseGeneralName, readGeneralName } from './general-name.ts';
import { normalizeIpAddress, octetsToIpAddress } from './ip-address.ts';
import { lintTbsCertificate } from './lint.ts';
import { fromPem } from './pem.ts';
import { parseSerialNumber } from './serial-number.ts';

const AUTHORITY = newAuthority();

/** Valid inputs of every kind, kept by the fuzzer. */
const CORPUS = ['der', 'csr', 'ocsp-request'].flatMap((name) =>
  readFileSync(new URL(`../fuzz/${name}.corpus`, import.meta.url), 'utf8')
    .split('\n')
    .map((line) => Buffer.from(line, 'base64')),
);
const BYTES = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  damaged(CORPUS),
  damaged(CORPUS).map((bytes) => sequence(bytes)),
);

/** Every reader of bytes that the fuzz targets do not have. */
const MORE_READERS: Readonly<Record<string, (bytes: Buffer) => unknown>> = {
  csr: fuzzCsr,
  ocspRequest: fuzzOcspRequest,
  readTbsCertificateLayout,
  readValidity,
  readTbsCertList,
  readCrlEntry: (bytes) => readCrlEntry(new DerReader(bytes)),
  readFullName: (bytes) => readFullName(new DerReader(bytes)),
  readGeneralName: (bytes) => readGeneralName(new DerReader(bytes)),
  octetsToIpAddress,
  lintTbsCertificate: (bytes) =>
    lintTbsCertificate(bytes, { issuer: AUTHORITY.certificate, profile: TLS_SERVER }),
};

/** Every reader of text. */
const TEXT_READERS: Readonly<Record<string, (text: string) => unknown>> = {
  fromPem,
  parseSerialNumber,
  parseDecimal: (text) => parseSerialNumber(text, { decimal: true }),
  parseGeneralName,
  normalizeDnsName: (text) => normalizeDnsName(text, { development: true, wildcard: true }),
  normalizeIpAddress,
  normalizeGeneralName: (text) =>
    normalizeGeneralName(parseGeneralName(text), { development: false, wildcard: true }),
};

function onlyHouseErrors(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof GigvaultError)) throw error;
  }
}

describe('readers throw their own errors only', () => {
  it.each(Object.entries({ ...DER_READERS, ...MORE_READERS }))(
    '%s, for any bytes — covers: T23',
    (_name, read) => {
      fc.assert(
        fc.property(BYTES, (bytes) => onlyHouseErrors(() => read(bytes))),
        {
          numRuns: 300,
        },
      );
    },
  );

  it.each(Object.entries(DER_READERS))(
    '%s, for empty and for nested empty elements — covers: T23, L8',
    (_name, read) => {
      for (const hex of ['', '3000', '30023000', '300430023000', 'a000', '31003000', '0400'])
        expect(() => onlyHouseErrors(() => read(Buffer.from(hex, 'hex')))).not.toThrow();
    },
  );

  it.each(Object.entries(TEXT_READERS))('%s, for any text — covers: T24', (_name, read) => {
    const begun = fc.constantFrom('', 'dns:', 'ip:', 'uri:', 'email:', '-----BEGIN X-----\n');
    const text = fc.tuple(begun, fc.string({ unit: 'binary' })).map((parts) => parts.join(''));
    fc.assert(fc.property(text, (value) => onlyHouseErrors(() => read(value))));
  });
});
