import { systemClock } from '@gigvault/time/clock';
import { issueCertificate } from '../src/issuance/issue-certificate.ts';
import { csr, newKey, request, startTestCa } from '../test/test-ca.ts';

/** What benchIssue measured. Times are milliseconds. */
export interface IssueBench {
  readonly certificates: number;
  readonly perSecond: number;
  /** CPU of this process for one certificate, microseconds; PostgreSQL's is not in it. */
  readonly cpuMicroseconds: number;
  readonly p50: number;
  readonly p99: number;
}

/**
 * CSR to durable, audited certificate through the issuance flow: real PostgreSQL with fsync, a software P-256 signer in this
 * process, distinct keys and requests. One second of warm-up is not counted.
 */
export async function benchIssue(options: {
  seconds: number;
  concurrency: number;
}): Promise<IssueBench> {
  const ca = await startTestCa();
  const process = ca.process({ auditLag: { events: 1_000_000_000, age: '999d' } });
  const requests = Array.from({ length: 500 }, (_, i) => csr([`n${i}.example.com`], newKey()));
  let next = 0;

  async function run(seconds: number): Promise<number[]> {
    const times: number[] = [];
    const end = systemClock.now() + seconds * 1_000;
    const client = async () => {
      while (systemClock.now() < end) {
        const start = performance.now();
        const name = `n${next % requests.length}.example.com`;
        const certificationRequest = requests[next++ % requests.length]!;
        const subjectAltName = [{ type: 'dns', value: name }];
        await issueCertificate(
          process.deps.issuance,
          request(process, { certificationRequest, subjectAltName }),
        );
        times.push(performance.now() - start);
      }
    };
    await Promise.all(Array.from({ length: options.concurrency }, client));
    return times.sort((a, b) => a - b);
  }

  try {
    await run(1);
    const cpu = globalThis.process.cpuUsage();
    const times = await run(options.seconds);
    const { user, system } = globalThis.process.cpuUsage(cpu);
    const at = (share: number) => times[Math.floor(times.length * share)] ?? 0;
    return {
      certificates: times.length,
      perSecond: Math.round(times.length / options.seconds),
      cpuMicroseconds: Math.round((user + system) / times.length),
      p50: at(0.5),
      p99: at(0.99),
    };
  } finally {
    await ca.stop();
  }
}
