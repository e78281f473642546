import { type DnsServer, startDnsServer } from '@gigvault/testkit/dns-server';
import { systemClock } from '@gigvault/time/clock';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { dnsResolver } from '../src/adapters/dns-resolver.ts';

let dns: DnsServer;
beforeEach(async () => {
  dns = await startDnsServer();
});
afterEach(() => dns.stop());

function resolve(name: string, signal = AbortSignal.timeout(20_000), development = false) {
  const resolver = dnsResolver({ development, servers: [dns.address], clock: systemClock });
  return resolver.resolve(name, signal);
}

describe('resolving', () => {
  it('gives the addresses of both families by turns', async () => {
    dns.put('a.example', '192.0.2.1', '2001:db8::1', '192.0.2.2', '192.0.2.3');
    expect(await resolve('a.example')).toEqual([
      '192.0.2.1',
      '2001:db8::1',
      '192.0.2.2',
      '192.0.2.3',
    ]);
  });

  it('gives the addresses of one family when there are no others', async () => {
    dns.put('four.example', '192.0.2.1');
    dns.put('six.example', '2001:db8::1');
    expect(await resolve('four.example')).toEqual(['192.0.2.1']);
    expect(await resolve('six.example')).toEqual(['2001:db8::1']);
  });

  it('does not wait long for a family about which the server is silent', async () => {
    dns.put('a.example', '192.0.2.1', '2001:db8::1');
    dns.silence(/AAAA$/);
    const started = performance.now();
    expect(await resolve('a.example')).toEqual(['192.0.2.1']);
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('asks for the name and for nothing else: no search list, no hosts file', async () => {
    for (const name of ['nothing.example', 'localhost']) {
      dns.questions.length = 0;
      await expect(resolve(name)).rejects.toMatchObject({
        type: 'dns',
        retry: true,
        message: `${name} cannot be resolved: ENOTFOUND`,
      });
      expect([...dns.questions].sort()).toEqual([`${name} A`, `${name} AAAA`]);
    }
  });

  it('says of a name without addresses that it has none', async () => {
    dns.put('empty.example');
    await expect(resolve('empty.example')).rejects.toThrow(/ENODATA/);
  });

  it('takes local names for loopback in development, without asking', async () => {
    expect(await resolve('a.localhost', undefined, true)).toEqual(['127.0.0.1', '::1']);
    expect(dns.questions).toEqual([]);
  });

  it('ends at once when it is broken off', async () => {
    dns.silence(/./);
    const breaking = new AbortController();
    const late = new Error('too late');
    const pending = resolve('tarpit.example', breaking.signal);
    breaking.abort(late);
    await expect(pending).rejects.toBe(late);
    await expect(resolve('tarpit.example', breaking.signal)).rejects.toBe(late);
  });

  it('is not delayed by 64 names whose servers are silent', async () => {
    dns.put('honest.example', '192.0.2.1');
    dns.silence(/tarpit/);
    const breaking = new AbortController();
    const stuck = Array.from({ length: 64 }, (_, index) =>
      resolve(`${index}.tarpit.example`, breaking.signal),
    );
    const started = performance.now();
    expect(await resolve('honest.example')).toEqual(['192.0.2.1']);
    expect(performance.now() - started).toBeLessThan(5_000);
    breaking.abort(new Error('enough'));
    const ends = await Promise.allSettled(stuck);
    expect(ends.every(({ status }) => status === 'rejected')).toBe(true);
  });
});
