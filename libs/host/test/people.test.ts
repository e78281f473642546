import { generateKeyPairSync, sign as signWith } from 'node:crypto';
import type { Client } from '@gigvault/rpc/call';
import { RPC, type RpcService } from '@gigvault/rpc/contracts';
import { silentLog } from '@gigvault/telemetry/log';
import { createMetrics } from '@gigvault/telemetry/metrics';
import { FakeClock } from '@gigvault/time/clock';
import { describe, expect, it } from '@jest/globals';
import { peopleOf } from '../src/people.ts';

const START = Date.parse('2026-11-21T12:00:00Z');
const CLAIMS = {
  iss: 'https://localhost:8443',
  aud: 'https://localhost:8443/service',
  sub: 'u1',
  name: 'ada',
  roles: ['operator'],
  tenant: 'default',
  iat: START / 1000,
  exp: START / 1000 + 900,
};
const CLIENT_IP = '192.0.2.1';

function newKey() {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, jwk: { ...publicKey.export({ format: 'jwk' }), kid: 'k1' } };
}

/** A service with an `auth` that has one key, and remembers what it is told. */
function setUp() {
  const key = newKey();
  const lines: Record<string, unknown>[] = [];
  const reported: object[] = [];
  const told = (fields: object, message: string) => void lines.push({ ...fields, message });
  const state = { isAway: false };
  const metrics = createMetrics();
  const auth = {
    getJwks: async () => ({
      jwks: JSON.stringify({ keys: [key.jwk] }),
      issuer: CLAIMS.iss,
      audience: CLAIMS.aud,
      revokedKeyIds: [],
    }),
    async reportCredential(report: object) {
      if (state.isAway) throw new Error('away');
      reported.push(report);
      return {};
    },
  };
  const people = peopleOf({
    ofAuth: <S>(service: RpcService<S>) => {
      expect([RPC.token, RPC.identity]).toContain(service);
      return auth as unknown as Client<S>;
    },
    clock: new FakeClock(START),
    log: { ...silentLog, warn: told, error: told },
    metrics,
  });
  const sign = (claims: object, { privateKey } = key) => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const input = `${part({ alg: 'ES256', typ: 'at+jwt', kid: 'k1' })}.${part(claims)}`;
    const es256 = { key: privateKey, dsaEncoding: 'ieee-p1363' } as const;
    return `${input}.${signWith('sha256', Buffer.from(input), es256).toString('base64url')}`;
  };
  const enter = (authorization: string | undefined) =>
    people.authenticate({ authorization, clientIp: CLIENT_IP });
  return { sign, enter, lines, reported, state, metrics };
}

describe('people who are not recognised', () => {
  it.each([
    ['forged', 'invalid', 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED'],
    ['expired', 'expired', undefined],
    ['for another audience', 'invalid', 'ERR_JWT_CLAIM_VALIDATION_FAILED aud'],
  ] as const)(
    'by a token that is %s are counted, logged and reported, without the token — covers: K97, T63',
    async (kind, reason, problem) => {
      const { sign, enter, lines, reported, metrics } = setUp();
      const tokens = {
        forged: () => sign(CLAIMS, newKey()),
        expired: () => sign({ ...CLAIMS, exp: START / 1000 - 61 }),
        'for another audience': () => sign({ ...CLAIMS, aud: 'https://elsewhere' }),
      };
      const token = tokens[kind]();
      await expect(enter(`Bearer ${token}`)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
      expect(reported).toEqual([{ kind: 'access-token', clientIp: CLIENT_IP }]);
      expect(lines).toMatchObject([
        { operation: 'authenticate', 'client.ip': CLIENT_IP, outcome: reason },
      ]);
      expect(lines[0]?.['problem']).toBe(problem);
      for (const part of token.split('.')) expect(JSON.stringify(lines)).not.toContain(part);
      expect(await metrics.exposition()).toContain(
        `gigvault_authentication_failures_total{reason="${reason}"} 1`,
      );
    },
  );

  it('for want of a credential are counted, and nothing else', async () => {
    const { enter, lines, reported, metrics } = setUp();
    await expect(enter(undefined)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect([lines, reported]).toEqual([[], []]);
    expect(await metrics.exposition()).toContain(
      'gigvault_authentication_failures_total{reason="missing"} 1',
    );
  });

  it('hear the same while auth is away, and the log says that it was not told', async () => {
    const { enter, lines, state } = setUp();
    state.isAway = true;
    await expect(enter('Bearer a.b.c')).rejects.toMatchObject({ code: 'UNAUTHENTICATED' });
    expect(lines).toMatchObject([
      { message: 'a refused credential is not audited' },
      { message: 'credential refused' },
    ]);
  });

  it('are nobody whose token is right', async () => {
    const { sign, enter, lines, reported } = setUp();
    expect(await enter(`Bearer ${sign(CLAIMS)}`)).toMatchObject({ actor: 'user:u1' });
    expect([lines, reported]).toEqual([[], []]);
  });
});
