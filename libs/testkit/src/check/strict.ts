import type { HttpClient } from '../http-client.ts';
import { type Artifact, strictReaders } from '../strict-readers.ts';
import type { CertificateRow } from './certificates.ts';

/** The same client, which also keeps every CRL and OCSP response that it is given. */
export function keepingAnswers(http: HttpClient, kept: Artifact[]): HttpClient {
  return {
    ...http,
    async fetch(url, question) {
      const answer = await http.fetch(url, question);
      const kind = KINDS[answer.headers['content-type'] ?? ''];
      if (answer.status === 200 && kind) kept.push({ kind, der: answer.body });
      return answer;
    },
  };
}

const KINDS: Readonly<Record<string, Artifact['kind']>> = {
  'application/pkix-crl': 'crl',
  'application/ocsp-response': 'ocsp',
};

/** Everything that a PKI ever signed and gave away, read by zlint and openssl: root, issuers, certificates, and the answers that were kept. */
export async function checkStrictly(
  statusUrl: string,
  http: HttpClient,
  rows: readonly CertificateRow[],
  issuers: ReadonlyMap<string, Buffer>,
  answers: readonly Artifact[],
): Promise<string[]> {
  const root = await http.fetch(`${statusUrl}/ca/root.crt`);
  const rootCrl = await http.fetch(`${statusUrl}/crl/root/0.crl`);
  if (root.status !== 200 || rootCrl.status !== 200) return ['the root or its CRL is not served'];
  const released = rows.flatMap(({ certificate }) => certificate ?? []);
  const certificates = [root.body, ...issuers.values(), ...released];
  return strictReaders([
    ...certificates.map((der): Artifact => ({ kind: 'certificate', der })),
    { kind: 'crl', der: rootCrl.body },
    ...answers,
  ]);
}
