import { validate } from '@gigvault/http/validation';
import { expect, it } from '@jest/globals';
import { z } from 'zod';
import { octets } from './key-json.ts';

it.each([
  [65_537, 'must have at most 65536 octets'],
  [0, 'must have at least 1 octet'],
])('%d octets are told in octets, not in characters', (count, message) => {
  const data = Buffer.alloc(count + (count > 65_536 ? 2 : 0)).toString('base64');
  expect(() => validate(z.strictObject({ data: octets(1, 65_536) }), { data }, 'body')).toThrow(
    `"data" ${message}.`,
  );
});
