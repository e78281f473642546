import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { toPem } from '@gigvault/x509/pem';

/** What `openssl crl -verify -text` says. */
export async function opensslCrl(der: Buffer, issuer: Buffer): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'gigvault-crl-'));
  try {
    await writeFile(join(directory, 'ca.pem'), toPem('CERTIFICATE', issuer));
    await writeFile(join(directory, 'crl.der'), der);
    const args = [
      'crl',
      '-inform',
      'DER',
      '-in',
      'crl.der',
      '-CAfile',
      'ca.pem',
      '-verify',
      '-noout',
      '-text',
    ];
    const { stdout, stderr } = await promisify(execFile)('openssl', args, { cwd: directory });
    return stderr + stdout;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
