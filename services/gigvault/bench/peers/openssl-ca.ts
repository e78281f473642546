import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of a CA that OpenSSL made, PEM, P-256: a root, and an intermediate below it. */
export interface OpensslCa {
  readonly root: string;
  readonly intermediate: string;
  readonly intermediateKey: string;
}

/** Makes a CA in this folder. */
export function makeOpensslCa(folder: string): OpensslCa {
  const file = (name: string) => join(folder, name);
  const key = (name: string) => openssl('genpkey', '-algorithm', 'EC', ...P256, '-out', file(name));
  key('root.key');
  key('intermediate.key');
  const extensions = file('intermediate.cnf');
  writeFileSync(
    extensions,
    'basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n',
  );
  const days = ['-days', '365'];
  openssl(
    'req',
    '-x509',
    '-new',
    '-key',
    file('root.key'),
    '-subj',
    '/CN=Bench Root',
    ...days,
    '-out',
    file('root.crt'),
  );
  openssl(
    'req',
    '-new',
    '-key',
    file('intermediate.key'),
    '-subj',
    '/CN=Bench CA',
    '-out',
    file('intermediate.csr'),
  );
  openssl(
    ...[
      'x509',
      '-req',
      '-in',
      file('intermediate.csr'),
      '-CA',
      file('root.crt'),
      '-CAkey',
      file('root.key'),
    ],
    ...['-CAcreateserial', ...days, '-extfile', extensions, '-out', file('intermediate.crt')],
  );
  return {
    root: file('root.crt'),
    intermediate: file('intermediate.crt'),
    intermediateKey: file('intermediate.key'),
  };
}

/** A server certificate for localhost that signs itself. */
export function makeServerCertificate(folder: string): { certificate: string; privateKey: string } {
  const [certificate, privateKey] = [join(folder, 'tls.crt'), join(folder, 'tls.key')];
  openssl('genpkey', '-algorithm', 'EC', ...P256, '-out', privateKey);
  openssl(
    ...['req', '-x509', '-new', '-key', privateKey, '-subj', '/CN=localhost'],
    ...['-addext', 'subjectAltName=DNS:localhost', '-days', '30', '-out', certificate],
  );
  return { certificate, privateKey };
}

const P256 = ['-pkeyopt', 'ec_paramgen_curve:P-256'] as const;

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}
