import assert from 'node:assert';
import { OcspRequestError, readOcspRequest } from '../src/ocsp.ts';
import { encodeOcspRequest } from '../src/ocsp-client.ts';

/** Jazzer.js's entry: a request is read, and says the same when it is written again, or OcspRequestError comes out. */
export function fuzz(data: Buffer): void {
  try {
    const { requests, nonce } = readOcspRequest(data);
    const again = readOcspRequest(
      encodeOcspRequest(
        requests.map(({ certId }) => certId),
        nonce,
      ),
    );
    assert.deepStrictEqual(again.requests, requests);
    assert.deepStrictEqual(again.nonce, nonce);
  } catch (error) {
    if (!(error instanceof OcspRequestError)) throw error;
  }
}
