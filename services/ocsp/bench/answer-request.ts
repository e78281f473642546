import { silentLog } from '@gigvault/telemetry/log';
import { systemClock } from '@gigvault/time/clock';
import { createClockGuard } from '@gigvault/time/clock-guard';
import { createResponderDirectory } from '../src/responder/responder-directory.ts';
import { createFreshness } from '../src/revocation/freshness.ts';
import { answerRequest } from '../src/status/answer-request.ts';
import { createResponseCache } from '../src/status/response-cache.ts';
import { createStatusIndex } from '../src/status/status-index.ts';
import { fakeCa } from '../test/fake-ca.ts';
import { fakeKeymgr } from '../test/fake-keymgr.ts';
import { certId, ocspRequest } from '../test/ocsp-request.ts';

/** CPU microseconds of an answer, HTTP and RPC left out; the fake keymgr's signature is counted: `node services/ocsp/bench/answer-request.ts`. */
const ca = fakeCa(systemClock);
const keymgr = fakeKeymgr();
const key = await keymgr.key.generateKey({
  keyId: 'k',
  keyType: 'ec-p256',
  purposes: ['ocspSign'],
  actor: '',
});
const issued = await ca.issuance.issueInternalCertificate({
  requestId: 'r',
  profile: 'ocsp-signer',
  issuerId: 'issuing',
  certificationRequest: key.subjectPublicKeyInfo,
});
const now = systemClock.now();
const responders = createResponderDirectory(() => undefined);
responders.put({
  issuerId: 'issuing',
  issuerCertificate: ca.issuerCertificate,
  certificate: issued.certificate,
  keyId: 'k',
  notBefore: now - 60_000,
  notAfter: now + 86_400_000,
});
const good = { status: 'good', revokedAt: 0, reasonCode: 0, notAfter: now + 86_400_000 } as const;
const deps = {
  responders,
  statuses: createStatusIndex({
    store: { find: async () => good },
    source: { ask: async () => undefined },
    freshness: createFreshness(now),
    clock: systemClock,
    maxAge: 86_400_000,
    maxEntries: 100_000,
  }),
  responses: createResponseCache(64 * 1024 * 1024),
  signer: {
    sign: async (keyId: string, tbs: Buffer) => {
      const items = [{ keyId, purpose: 'ocspSign', intentId: '', tbs }];
      return (await keymgr.signing.signBatch({ items })).items[0]!.signature;
    },
  },
  validity: 8 * 3_600_000,
  clock: systemClock,
  clockGuard: createClockGuard(systemClock),
  log: silentLog,
};

/** CPU microseconds an answer. */
async function cost(requests: readonly Buffer[], rounds: number): Promise<number> {
  const start = process.cpuUsage();
  for (let i = 0; i < rounds; i++) await answerRequest(deps, requests[i % requests.length]!);
  const { user, system } = process.cpuUsage(start);
  return Math.round(((user + system) / rounds) * 10) / 10;
}

const ids = Array.from({ length: 10_000 }, (_, i) =>
  certId(ca.issuerCertificate, (i + 1).toString(16).padStart(32, '7')),
);
const plain = ids.map((id) => ocspRequest([id]));
const withNonce = ids.map((id) => ocspRequest([id], Buffer.alloc(16, 1)));
const first = await cost(plain, plain.length);
const cached = await cost(plain, 200_000);
const live = await cost(withNonce, 10_000);
process.stdout.write(`${JSON.stringify({ first, cached, live })}\n`);
