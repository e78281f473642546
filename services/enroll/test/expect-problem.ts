import { expect } from '@jest/globals';
import type { Reply } from './acme-test-client.ts';

/** Expects an ACME problem document, with all that every error reply carries (RFC 8555 §6.5, §6.7). */
export function expectProblem(reply: Reply, status: number, type: string): void {
  expect({ status: reply.status, type: reply.json.type }).toEqual({
    status,
    type: `urn:ietf:params:acme:error:${type}`,
  });
  expect(reply.json.status).toBe(status);
  expect(reply.headers['content-type']).toBe('application/problem+json');
  expect(reply.headers['replay-nonce']).toMatch(/^[\w-]{35}$/);
  expect(String(reply.headers.link)).toContain('/acme/directory>;rel="index"');
}
