import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isSignedBy, type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { readCertList } from '@gigvault/x509/crl';
import { readOcspResponse } from '@gigvault/x509/ocsp-client';
import { toPem } from '@gigvault/x509/pem';
import { verifySignature } from '@gigvault/x509/signature';
import { runProgram } from './run-program.ts';
import { zlint } from './zlint.ts';

/** Something signed that left the product; `authority` is a CA's certificate that a test made up, to verify the others with. */
export interface Artifact {
  readonly kind: 'certificate' | 'crl' | 'ocsp' | 'authority';
  readonly der: Buffer;
}

/** openssl reads one CRL or OCSP response a process: of more than this, evenly many of the whole. */
const ONE_BY_ONE = 40;

/**
 * Has everything read by the strictest readers there are: zlint, and openssl with `-x509_strict` along the chain. The CA of
 * each must be among the certificates. Times are not looked at: tests move their clocks. What they complain of, one line each.
 */
export async function strictReaders(artifacts: readonly Artifact[]): Promise<string[]> {
  const distinct = [...new Map(artifacts.map((one) => [one.der.toString('base64'), one])).values()];
  if (distinct.length === 0) return [];
  const folder = mkdtempSync(join(tmpdir(), 'gv-strict-'));
  try {
    return grouped(await readAll(folder, distinct));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An artifact in a file of its own. */
interface Filed extends Artifact {
  readonly file: string;
}

async function readAll(folder: string, artifacts: readonly Artifact[]): Promise<Complaint[]> {
  const filed = artifacts.map((one, index): Filed => ({ ...one, file: `${index}.der` }));
  for (const { file, der } of filed) writeFileSync(join(folder, file), der);
  const of = (kind: Artifact['kind']) => filed.filter((one) => one.kind === kind);
  const authorities = [...of('certificate'), ...of('authority')]
    .map(({ der }) => readCertificate(der))
    .filter(({ isCa }) => isCa);
  writeFileSync(
    join(folder, 'authorities.pem'),
    authorities.map(({ der }) => toPem('CERTIFICATE', der)).join(''),
  );
  const linted = filed.filter(zlintReads);
  const said = await zlint(
    folder,
    linted.map(({ file }) => file),
  );
  return [
    ...linted.flatMap((one, index) => said[index]!.map((what) => complaint(one, what))),
    ...(await verifyCertificates(folder, of('certificate'), authorities)),
    ...(await each(evenly(of('crl')), (crl) => verifyCrl(folder, crl, authorities))),
    ...(await each(evenly(of('ocsp')), (answer) => verifyOcsp(folder, answer, authorities))),
  ];
}

/** zlint's parser takes OCSP responses of one answer only; openssl reads the others. */
function zlintReads({ kind, der }: Artifact): boolean {
  if (kind === 'ocsp') return readOcspResponse(der).data.responses.length === 1;
  return kind !== 'authority';
}

interface Complaint {
  readonly what: string;
  readonly about: Buffer;
}

function complaint({ kind, der }: Artifact, what: string): Complaint {
  return { what: `${kind}: ${what}`, about: der };
}

/** One line for each kind of complaint, with the whole of one that it is about. */
function grouped(complaints: readonly Complaint[]): string[] {
  return [...Map.groupBy(complaints, ({ what }) => what)].map(
    ([what, all]) => `${what} (${all.length} times): ${all[0]!.about.toString('base64')}`,
  );
}

async function verifyCertificates(
  folder: string,
  certificates: readonly Filed[],
  authorities: readonly ParsedCertificate[],
): Promise<Complaint[]> {
  const leaves = certificates.filter(({ der }) => !readCertificate(der).isCa);
  const findings = leaves
    .filter(({ der }) => !authorities.some((ca) => isSignedBy(readCertificate(der), ca)))
    .map((leaf) => complaint(leaf, 'the certificate of its CA is not there'));
  if (certificates.length === 0) return findings;
  const strict = ['verify', '-x509_strict', '-no_check_time', '-partial_chain'];
  const files = certificates.map(({ file }) => file);
  const { stdout, stderr } = await runProgram(
    'openssl',
    [...strict, '-trusted', 'authorities.pem', ...files],
    { cwd: folder },
  );
  const verified = new Set(stdout.match(/^\d+\.der(?=: OK$)/gm));
  const refused = certificates.filter(({ file }) => !verified.has(file));
  return [...findings, ...refused.map((one) => complaint(one, `openssl: ${stderr}`))];
}

async function verifyCrl(
  folder: string,
  crl: Filed,
  authorities: readonly ParsedCertificate[],
): Promise<Complaint[]> {
  const { signatureAlgorithm, tbs, signature } = readCertList(crl.der);
  const issuer = authorities.find(({ publicKey }) =>
    verifySignature(publicKey.keyObject, signatureAlgorithm, tbs, signature),
  );
  if (issuer === undefined) return [complaint(crl, 'the certificate of its CA is not there')];
  writeFileSync(join(folder, 'issuer.pem'), toPem('CERTIFICATE', issuer.der));
  const problem = await openssl(folder, [
    ...['crl', '-inform', 'DER', '-in', crl.file, '-verify', '-CAfile', 'issuer.pem', '-noout'],
  ]);
  return problem === undefined ? [] : [complaint(crl, problem)];
}

async function verifyOcsp(
  folder: string,
  answer: Filed,
  authorities: readonly ParsedCertificate[],
): Promise<Complaint[]> {
  const { data, certificates } = readOcspResponse(answer.der);
  const [first] = data.responses;
  const delegate = certificates[0] && readCertificate(certificates[0]);
  const issuer = authorities.find((ca) =>
    delegate ? isSignedBy(delegate, ca) : ca.publicKey.keyIdentifier.equals(data.responderKeyHash),
  );
  if (first === undefined || issuer === undefined)
    return [complaint(answer, 'the certificate of its CA is not there')];
  const findings = data.responses
    .filter(({ thisUpdate, nextUpdate }) => thisUpdate > data.producedAt || nextUpdate < thisUpdate)
    .map(() => complaint(answer, 'its times are out of order (RFC 6960 §2.4)'));
  writeFileSync(join(folder, 'issuer.pem'), toPem('CERTIFICATE', issuer.der));
  const problem = await openssl(folder, [
    ...['ocsp', '-respin', answer.file, '-no_nonce', `-${first.hashAlgorithm}`],
    ...['-issuer', 'issuer.pem', '-serial', `0x${first.serialNumber}`],
    ...['-CAfile', 'authorities.pem', '-partial_chain', '-no_check_time', '-x509_strict'],
  ]);
  return problem === undefined ? findings : [...findings, complaint(answer, problem)];
}

/** What openssl says when it does not succeed, or succeeds without having verified. */
async function openssl(folder: string, args: readonly string[]): Promise<string | undefined> {
  const { code, stdout, stderr } = await runProgram('openssl', args, { cwd: folder });
  return code === 0 && /verify OK/i.test(stderr) ? undefined : `openssl: ${stdout}${stderr}`;
}

async function each(
  artifacts: readonly Filed[],
  check: (one: Filed) => Promise<Complaint[]>,
): Promise<Complaint[]> {
  const findings: Complaint[] = [];
  for (const one of artifacts) findings.push(...(await check(one)));
  return findings;
}

function evenly<T>(all: readonly T[]): T[] {
  const step = Math.max(1, Math.ceil(all.length / ONE_BY_ONE));
  return all.filter((_, index) => index % step === 0);
}
