import { systemClock } from '@gigvault/time/clock';
import { readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { buildOcspRequest, isAuthorizedAnswer, readOcspResponse } from '@gigvault/x509/ocsp-client';
import { verifySignature } from '@gigvault/x509/signature';
import type { HttpClient } from '../http-client.ts';
import type { CertificateRow } from './certificates.ts';

/** Where to ask. */
export interface StatusListener {
  readonly url: string;
  readonly http: HttpClient;
}

/**
 * Whether OCSP and the CRLs, asked as relying parties ask, say of every certificate what `ca` says.
 * @param answered the issuers that there is OCSP for
 */
export async function checkRevocation(
  listener: StatusListener,
  rows: readonly CertificateRow[],
  issuers: ReadonlyMap<string, Buffer>,
  answered: ReadonlySet<string>,
): Promise<string[]> {
  const findings: string[] = [];
  for (const [issuerId, issuer] of issuers) {
    const own = rows.filter((row) => row.issuer_id === issuerId);
    const listed = new Map<string, number>();
    for (const shard of new Set([0, ...own.map((row) => row.crl_shard)])) {
      const crl = readCertList(await fetchFile(listener, `/crl/${issuerId}/${shard}.crl`));
      const key = readCertificate(issuer).publicKey;
      if (!verifySignature(key.keyObject, crl.signatureAlgorithm, crl.tbs, crl.signature))
        findings.push(`CRL ${issuerId}/${shard} does not verify`);
      if (crl.nextUpdate < systemClock.now()) findings.push(`CRL ${issuerId}/${shard} is over`);
      for (const entry of crl.entries()) listed.set(entry.serialNumber, entry.reasonCode);
    }
    const serials = new Set(own.map((row) => row.serial_number));
    for (const serial of listed.keys())
      if (!serials.has(serial)) findings.push(`the CRL has ${serial}, which nobody issued`);
    for (const row of own) {
      const onCrl = listed.get(row.serial_number);
      if ((row.status === 'revoked') !== (onCrl !== undefined))
        findings.push(`certificate ${row.serial_number} is ${row.status}, the CRL says otherwise`);
      if (onCrl !== undefined && onCrl !== row.reason_code)
        findings.push(
          `certificate ${row.serial_number} has reason ${row.reason_code}, the CRL says ${onCrl}`,
        );
    }
    if (answered.has(issuerId)) findings.push(...(await checkOcsp(listener, own, issuer)));
  }
  return findings;
}

async function checkOcsp(
  listener: StatusListener,
  rows: readonly CertificateRow[],
  issuer: Buffer,
): Promise<string[]> {
  const findings: string[] = [];
  for (const row of rows) {
    const question = buildOcspRequest(issuer, row.serial_number);
    const answer = await fetchFile(listener, '/ocsp', question)
      .then(readOcspResponse)
      .catch((error: Error) => error);
    if (answer instanceof Error) {
      findings.push(`OCSP does not answer about ${row.serial_number}: ${answer.message}`);
      continue;
    }
    const status = answer.data.responses[0]?.status;
    const said = typeof status === 'object' ? 'revoked' : status;
    const expected = row.status === 'revoked' ? 'revoked' : 'good';
    if (said !== expected)
      findings.push(`certificate ${row.serial_number} is ${row.status}, OCSP says ${said}`);
    if (typeof status === 'object' && status.reasonCode !== row.reason_code)
      findings.push(
        `certificate ${row.serial_number} has reason ${row.reason_code}, OCSP says ${status.reasonCode}`,
      );
    if (!isAuthorizedAnswer(answer, issuer))
      findings.push(
        `the OCSP answer about ${row.serial_number} is not signed by the CA or its delegate`,
      );
  }
  return findings;
}

async function fetchFile(
  { url, http }: StatusListener,
  path: string,
  ocspRequest?: Buffer,
): Promise<Buffer> {
  const headers = { 'content-type': 'application/ocsp-request' };
  const question = ocspRequest ? { method: 'POST', headers, body: ocspRequest } : {};
  const { status, body } = await http.fetch(url + path, question);
  if (status !== 200) throw new Error(`${path} answered ${status}`);
  return body;
}
