import { afterAll, expect } from '@jest/globals';
import { complaintsAboutProduced } from '../libs/testkit/src/produced.ts';

/** Every certificate, CRL and OCSP response that a file's tests make passes zlint and openssl, or the file fails. */
afterAll(async () => {
  expect(await complaintsAboutProduced()).toEqual([]);
}, 60_000);
