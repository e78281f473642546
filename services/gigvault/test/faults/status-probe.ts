import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type HttpClient, httpClient } from '@gigvault/testkit/http-client';
import type { PkiProcess } from '@gigvault/testkit/pki-process';
import { systemClock } from '@gigvault/time/clock';
import { readCertList } from '@gigvault/x509/crl';
import { buildOcspRequest, readOcspResponse } from '@gigvault/x509/ocsp-client';
import { fromPem } from '@gigvault/x509/pem';

/** A relying party that asks for one certificate's state and for the CRL, again and again. */
export interface StatusProbe {
  /** Ends it. Resolves with what was wrong, and the times of all answers in ascending order, milliseconds. */
  stop(): Promise<{ readonly wrong: readonly string[]; readonly times: readonly number[] }>;
}

const PAUSE = 50;

/** Asks about `serialNumber`, which is good, until it is stopped. The first answers are waited for. */
export async function startStatusProbe(
  pki: PkiProcess,
  serialNumber: string,
): Promise<StatusProbe> {
  const http = httpClient();
  const [issuer] = fromPem(
    readFileSync(join(pki.dataDir, 'root', 'issuing.crt'), 'utf8'),
    'CERTIFICATE',
  );
  const request = buildOcspRequest(issuer as Buffer, serialNumber);
  const wrong = new Set<string>();
  const times: number[] = [];
  const stopping = new AbortController();
  const ask = async (what: (http: HttpClient, url: string) => Promise<string | undefined>) => {
    const start = performance.now();
    const problem = await what(http, pki.statusUrl).catch(String);
    if (problem !== undefined) wrong.add(problem);
    times.push(performance.now() - start);
  };
  const round = async () => {
    await ask((client, url) => askOcsp(client, url, request));
    await ask(askCrl);
  };
  await round();
  const running = (async () => {
    while (!stopping.signal.aborted) {
      await round();
      await systemClock.sleep(PAUSE, stopping.signal).catch(() => undefined);
    }
  })();
  return {
    async stop() {
      stopping.abort();
      await running;
      http.close();
      return { wrong: [...wrong], times: times.sort((a, b) => a - b) };
    },
  };
}

async function askOcsp(http: HttpClient, url: string, body: Buffer): Promise<string | undefined> {
  const headers = { 'content-type': 'application/ocsp-request' };
  const answer = await http.fetch(`${url}/ocsp`, { method: 'POST', headers, body });
  if (answer.status !== 200) return `OCSP answered ${answer.status}: ${answer.text}`;
  const status = readOcspResponse(answer.body).data.responses[0]?.status;
  return status === 'good' ? undefined : `OCSP says ${JSON.stringify(status)}`;
}

async function askCrl(http: HttpClient, url: string): Promise<string | undefined> {
  const answer = await http.fetch(`${url}/crl/issuing/0.crl`);
  if (answer.status !== 200) return `the CRL answered ${answer.status}`;
  const { nextUpdate } = readCertList(answer.body);
  return nextUpdate > systemClock.now() ? undefined : 'the CRL is past its nextUpdate';
}
