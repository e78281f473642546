import { describe, expect, it } from '@jest/globals';
import { contains, parseIp, parseNetwork } from './network.ts';

function inside(network: string, address: string): boolean {
  return contains(parseNetwork(network)!, parseIp(address)!);
}

describe('networks', () => {
  it.each([
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['172.16.0.0/12', '172.31.255.255', true],
    ['172.16.0.0/12', '172.32.0.0', false],
    ['100.64.0.0/10', '100.127.0.1', true],
    ['100.64.0.0/10', '100.128.0.1', false],
    ['fc00::/7', 'fdff::1', true],
    ['fc00::/7', 'fe00::1', false],
    ['0.0.0.0/0', '::', false],
    ['192.0.2.1', '192.0.2.1', true],
    ['192.0.2.1', '192.0.2.2', false],
  ])('%s holds %s: %s', (network, address, expected) => {
    expect(inside(network, address)).toBe(expected);
  });

  it.each([
    '',
    '10.0.0.0/33',
    '10.0.0.0/-1',
    '10.0.0.0/08',
    '10.0.0/8',
    '::/129',
    '10.0.0.0/8/8',
    'fe80::1%eth0',
    '0x7f.0.0.1',
  ])('%j is not a network', (text) => {
    expect(parseNetwork(text)).toBeUndefined();
  });
});
