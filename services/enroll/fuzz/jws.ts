import { GigvaultError } from '@gigvault/errors/gigvault-error';
import {
  accountUpdatePayload,
  challengePayload,
  finalizePayload,
  newAccountPayload,
  newOrderPayload,
  readPayload,
  revocationPayload,
} from '../src/api/payloads.ts';
import { readJwk } from '../src/jws/jwk.ts';
import { parseJws, verifyJws } from '../src/jws/jws.ts';
import { parseStrictJsonObject } from '../src/jws/strict-json.ts';

const PAYLOADS = [
  newAccountPayload,
  accountUpdatePayload,
  newOrderPayload,
  finalizePayload,
  challengePayload,
  revocationPayload,
];

/** Jazzer.js's entry: an ACME request's body, as a JWS, as each payload and as a key; only errors of the house come out. */
export function fuzz(data: Buffer): void {
  for (const schema of PAYLOADS) housed(() => readPayload(data, schema));
  housed(() => readJwk(parseStrictJsonObject(data, 'The key')));
  housed(() => {
    const jws = parseJws(data);
    verifyJws(jws, readJwk(jws.jwk).publicKey);
  });
}

function housed(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof GigvaultError)) throw error;
  }
}
