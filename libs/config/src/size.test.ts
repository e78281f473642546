import { expect, it } from '@jest/globals';
import { size } from './size.ts';

it.each([
  ['512KiB', 524_288],
  ['64MiB', 67_108_864],
  ['1GiB', 1_073_741_824],
  ['0MiB', 0],
])('reads %s as %d octets', (text, octets) => {
  expect(size.parse(text)).toBe(octets);
});

it.each([67_108_864, '67108864', '64MB', '64 MiB', '-1MiB', ''])(
  'refuses %p, and names the units',
  (value) => {
    expect(size.safeParse(value).error?.issues[0]?.message).toMatch(/with its unit, as "64MiB"/);
  },
);
