import type { HttpAnswer, HttpClient } from '@gigvault/testkit/http-client';
import { systemClock } from '@gigvault/time/clock';
import { readCertList } from '@gigvault/x509/crl';
import { ocspErrorResponse } from '@gigvault/x509/ocsp';
import { buildOcspRequest, isAuthorizedAnswer, readOcspResponse } from '@gigvault/x509/ocsp-client';
import type { KnownCertificate } from './oracle.ts';

/** Somebody who believes what OCSP and CRLs say, and compares it with what clients were told. */
export interface RelyingParty {
  readonly http: HttpClient;
  readonly statusUrl: string;
  /** Milliseconds that a revocation may take to be seen once nothing is down. */
  within(): number;
  /** Since when nothing is down, Unix ms; in the future while something is. */
  allWellSince(): number;
  readonly found: (finding: string) => void;
  /** The largest CRL number seen, by URL. */
  readonly crlNumbers: Map<string, bigint>;
}

type OcspStatus = 'good' | 'revoked' | 'unknown';

/** OCSP's words for silence. Any other refusal is final: `unauthorized` says that there is no such CA. */
const NOT_NOW = [ocspErrorResponse('tryLater'), ocspErrorResponse('internalError')];

/** What OCSP says; undefined when there is no answer now. */
async function ocspStatus(
  { http, statusUrl }: Pick<RelyingParty, 'http' | 'statusUrl'>,
  { issuer, serialNumber }: Pick<KnownCertificate, 'issuer' | 'serialNumber'>,
): Promise<OcspStatus | undefined> {
  const answer = await ask(http, `${statusUrl}/ocsp`, buildOcspRequest(issuer, serialNumber));
  if (answer === undefined || NOT_NOW.some((refusal) => refusal.equals(answer.body)))
    return undefined;
  const response = readOcspResponse(answer.body);
  if (!isAuthorizedAnswer(response, issuer))
    throw new Error(
      `the OCSP answer about ${serialNumber} is not signed by the CA or its delegate`,
    );
  const [single] = response.data.responses;
  if (single === undefined || single.nextUpdate < systemClock.now())
    throw new Error(`the OCSP answer about ${serialNumber} is over`);
  return typeof single.status === 'object' ? 'revoked' : single.status;
}

/** Asks OCSP about a certificate. Silence, which is undefined, is allowed while something is down, a wrong answer never. */
export async function askOcsp(
  party: RelyingParty,
  certificate: KnownCertificate,
): Promise<OcspStatus | undefined> {
  const { name } = certificate;
  const mustBeRevoked = isDue(party, certificate);
  const mayBeRevoked = () => certificate.revoking !== undefined;
  try {
    const status = await ocspStatus(party, certificate);
    if (status === undefined || status === 'revoked') {
      if (status === 'revoked' && !mayBeRevoked())
        party.found(`OCSP says revoked of ${name}, which nobody revoked`);
    } else if (status === 'unknown') party.found(`OCSP says unknown of ${name}, which was issued`);
    else if (mustBeRevoked) party.found(`OCSP says good of ${name}, which is revoked`);
    return status;
  } catch (error) {
    party.found(`OCSP about ${name}: ${(error as Error).message}`);
    return undefined;
  }
}

/** Fetches a CRL: its number never falls, it is not over, and it has whatever of its certificates was revoked long enough ago. */
export async function askCrl(
  party: RelyingParty,
  url: string,
  known: readonly KnownCertificate[],
): Promise<void> {
  const due = known.filter((one) => one.crlUrl === url && isDue(party, one));
  const answer = await ask(party.http, url).catch((error) =>
    party.found(`the CRL: ${error.message}`),
  );
  if (!answer) return;
  const crl = readCertList(answer.body);
  const seen = party.crlNumbers.get(url) ?? 0n;
  if (crl.crlNumber < seen) party.found(`CRL ${crl.crlNumber} is served after ${seen} at ${url}`);
  if (crl.nextUpdate < systemClock.now()) party.found(`CRL ${crl.crlNumber} is over`);
  party.crlNumbers.set(url, crl.crlNumber);
  const listed = new Set([...crl.entries()].map((entry) => entry.serialNumber));
  for (const { name, serialNumber } of due)
    if (!listed.has(serialNumber))
      party.found(`CRL ${crl.crlNumber} lacks ${name}, which is revoked`);
}

/** Whether everybody must know by now that it is revoked. */
function isDue({ allWellSince, within }: RelyingParty, { revokedAt }: KnownCertificate): boolean {
  if (revokedAt === undefined) return false;
  return systemClock.now() >= Math.max(revokedAt, allWellSince()) + within();
}

/** Undefined when nobody answers, or somebody says with a 503 that it is not possible now. Throws for any other status than 200: it is final. */
async function ask(
  http: HttpClient,
  url: string,
  ocspRequest?: Buffer,
): Promise<HttpAnswer | undefined> {
  const headers = { 'content-type': 'application/ocsp-request' };
  const question = ocspRequest ? { method: 'POST', headers, body: ocspRequest } : {};
  // Its process is dead: that is what this is about, and recovery has its own limit.
  const answer = await http.fetch(url, question).catch(() => undefined);
  if (answer === undefined || answer.status === 503) return undefined;
  if (answer.status !== 200) throw new Error(`${url} is answered ${answer.status} ${answer.text}`);
  return answer;
}
