import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { eventually } from '@gigvault/testkit/eventually';
import { httpClient } from '@gigvault/testkit/http-client';
import { buildOcspRequest, readOcspResponse } from '@gigvault/x509/ocsp-client';
import { fromPem } from '@gigvault/x509/pem';
import type { Leaf } from '../pki-client.ts';
import { makeOpensslCa } from './openssl-ca.ts';
import { type Peer, peerFolder } from './peer.ts';
import { portsOf } from './ports.ts';

/** `openssl ocsp` as a responder. */
export interface OpensslOcsp extends Peer {
  readonly url: string;
  readonly folder: string;
}

/** What it answers about. */
export interface OpensslIndex {
  /** As `OpenSSL 3.0.19`. */
  readonly name: string;
  /** Certificates that are good. */
  readonly leaves: readonly Pick<Leaf, 'issuer' | 'serialNumber'>[];
  /** Starts it; its CA's own key signs. Rejects when it does not say `good`. */
  start(): Promise<OpensslOcsp>;
  remove(): void;
}

const CERTIFICATES = 100;

/** A CA and an index of good certificates. */
export function makeOpensslIndex(): OpensslIndex {
  const folder = peerFolder('openssl');
  const ca = makeOpensslCa(folder);
  const serialNumbers = Array.from({ length: CERTIFICATES }, (_, i) => (0x1000 + i).toString(16));
  const index = join(folder, 'index.txt');
  const lines = serialNumbers.map(
    (n) => `V\t400101000000Z\t\t${n.toUpperCase()}\tunknown\t/CN=${n}`,
  );
  writeFileSync(index, `${lines.join('\n')}\n`);
  const [issuer = Buffer.alloc(0)] = fromPem(readFileSync(ca.intermediate, 'utf8'), 'CERTIFICATE');
  const leaves = serialNumbers.map((serialNumber) => ({ issuer, serialNumber }));
  const signer = ['-rsigner', ca.intermediate, '-rkey', ca.intermediateKey];
  const answers = ['ocsp', '-index', index, '-CA', ca.intermediate, ...signer];
  const name = execFileSync('openssl', ['version'], { encoding: 'utf8' }).split(' ', 2).join(' ');
  return {
    name,
    leaves,
    start: () => startResponder(name, folder, answers, leaves[0] as Leaf),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

async function startResponder(
  name: string,
  folder: string,
  answers: readonly string[],
  { issuer, serialNumber }: Pick<Leaf, 'issuer' | 'serialNumber'>,
): Promise<OpensslOcsp> {
  const [port] = await portsOf('openssl');
  const listening = ['-port', `${port}`, '-ignore_err', '-resp_key_id', '-nmin', '60'];
  // A worker serves one connection at a time, and wrk's first one, which only looks whether anybody is there, keeps one busy.
  const workers = ['-multi', `${availableParallelism() + 1}`];
  const child = spawn('openssl', [...answers, ...listening, ...workers], { stdio: 'ignore' });
  const pid = child.pid as number;
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    const gone = once(child, 'exit');
    // With its workers: it makes a process group of its own.
    process.kill(-pid, 'SIGKILL');
    await gone;
  };
  try {
    await eventually(() => mustBeGood(url, issuer, serialNumber));
  } catch (error) {
    await stop();
    throw error;
  }
  return { name, pid, stop, url, folder };
}

async function mustBeGood(url: string, issuer: Buffer, serialNumber: string): Promise<void> {
  const http = httpClient();
  try {
    const { body } = await http.fetch(`${url}/ocsp`, {
      method: 'POST',
      headers: { 'content-type': 'application/ocsp-request' },
      body: buildOcspRequest(issuer, serialNumber),
    });
    const [single] = readOcspResponse(body).data.responses;
    if (single?.status !== 'good') throw new Error(`openssl ocsp says ${single?.status}`);
  } finally {
    http.close();
  }
}
