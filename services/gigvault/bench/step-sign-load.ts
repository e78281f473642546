import { createPrivateKey, generateKeyPairSync, randomUUID, sign } from 'node:crypto';
import { buildCertificationRequest } from '@gigvault/x509/certification-request';
import { toPem } from '@gigvault/x509/pem';
import { Client } from 'undici';
import type { Load } from './loads.ts';

/** A step-ca, and the key of its JWK provisioner. */
export interface StepSignSetup {
  readonly origin: string;
  readonly provisioner: string;
  /** PEM, P-256. */
  readonly privateKey: string;
}

/** Certification requests are made beforehand: a client's work, not the CA's. */
const REQUESTS = 2_000;

/** CSR to certificate through step-ca's /1.0/sign, each with a one-time token, over a kept connection for each client. */
export async function stepSignLoad(setup: StepSignSetup): Promise<Load> {
  const key = createPrivateKey(setup.privateKey);
  const requests = Array.from({ length: REQUESTS }, (_, i) => requestFor(`n${i}.example.com`));
  const connections: Client[] = [];
  let next = 0;
  return {
    async prepare(clients) {
      while (connections.length < clients)
        connections.push(new Client(setup.origin, { connect: { rejectUnauthorized: false } }));
    },
    async operation(client) {
      const { name, csr } = requests[next++ % REQUESTS] as (typeof requests)[number];
      const { statusCode, body } = await (connections[client] as Client).request({
        method: 'POST',
        path: '/1.0/sign',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ csr, ott: tokenFor(setup, key, name) }),
      });
      const text = await body.text();
      if (statusCode !== 201) throw new Error(`/1.0/sign: ${statusCode} ${text}`);
    },
  };
}

function requestFor(name: string): { name: string; csr: string } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const subjectAltName = [{ type: 'dns' as const, value: name }];
  const der = buildCertificationRequest({ privateKey, subject: [], subjectAltName });
  return { name, csr: toPem('CERTIFICATE REQUEST', der) };
}

function tokenFor(
  { origin, provisioner }: StepSignSetup,
  key: ReturnType<typeof createPrivateKey>,
  name: string,
): string {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    iss: provisioner,
    aud: `${origin}/1.0/sign`,
    sub: name,
    sans: [name],
    jti: randomUUID(),
    iat: now,
    nbf: now - 10,
    exp: now + 240,
  };
  const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const input = `${encode({ alg: 'ES256', kid: provisioner, typ: 'JWT' })}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}
