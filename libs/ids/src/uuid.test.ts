import { randomUUID } from 'node:crypto';
import { expect, it } from '@jest/globals';
import { isUuid } from './uuid.ts';

it('knows a UUID in lower case', () => {
  expect(isUuid(randomUUID())).toBe(true);
});

it.each([
  '',
  '0F8C2D1E-0000-4000-8000-000000000001',
  '0f8c2d1e000040008000000000000001',
  '0f8c2d1e-0000-4000-8000-00000000000',
  ' 0f8c2d1e-0000-4000-8000-000000000001',
  '0f8c2d1e-0000-4000-8000-000000000001\n',
  '{0f8c2d1e-0000-4000-8000-000000000001}',
])('takes no other text for one: %j', (text) => {
  expect(isUuid(text)).toBe(false);
});
