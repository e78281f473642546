import { join } from 'node:path';
import { runOrFail } from '@gigvault/testkit/run-program';

/** Certificates of a CA that is none of GigVault's, made with OpenSSL in a folder: `root`, `intermediate` by it, and servers by that. */
export interface OtherAuthority {
  /** A certificate for ten days with the name `localhost`: `<name>.pem` and `<name>.key`. */
  issue(name: string): Promise<void>;
  /** Signs it again, as one that has ended yesterday. */
  expire(name: string): Promise<void>;
}

/** Makes one. */
export async function otherAuthority(folder: string): Promise<OtherAuthority> {
  const file = (name: string) => join(folder, name);
  const make = (name: string, issuer: string | undefined, extensions: readonly string[]) =>
    runOrFail('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-days', '10', '-subj', `/CN=Other ${name}`],
      ...['-keyout', file(`${name}.key`), '-out', file(`${name}.pem`)],
      ...(issuer === undefined
        ? []
        : ['-CA', file(`${issuer}.pem`), '-CAkey', file(`${issuer}.key`)]),
      ...extensions.flatMap((extension) => ['-addext', extension]),
    ]);
  const ca = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
  await make('root', undefined, ca);
  await make('intermediate', 'root', ca);
  return {
    issue: async (name) =>
      void (await make(name, 'intermediate', [
        'basicConstraints=critical,CA:FALSE',
        'subjectAltName=DNS:localhost',
      ])),
    async expire(name) {
      const [certificate, csr] = [file(`${name}.pem`), file(`${name}.csr`)];
      const extensions = ['-copy_extensions', 'copyall'];
      await runOrFail('openssl', [
        ...['x509', '-x509toreq', '-in', certificate, '-signkey', file(`${name}.key`)],
        ...['-out', csr, ...extensions],
      ]);
      await runOrFail('openssl', [
        ...['x509', '-req', '-in', csr, '-out', certificate, '-days', '-1', ...extensions],
        ...['-CA', file('intermediate.pem'), '-CAkey', file('intermediate.key')],
      ]);
    },
  };
}
