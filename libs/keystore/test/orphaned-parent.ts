/** Opens a token whose library hangs at the log-in, tells who its driver is, and waits to be killed. */

import { eventually } from '@gigvault/testkit/eventually';
import { pkcs11KeyStore } from '../src/pkcs11/pkcs11-key-store.ts';
import { parsePkcs11Uri } from '../src/pkcs11/pkcs11-uri.ts';

const [uri = '', environment = '{}'] = process.argv.slice(2);
const store = pkcs11KeyStore({
  uri: parsePkcs11Uri(uri),
  environment: JSON.parse(environment) as Record<string, string>,
  deadline: 60_000,
});
store.check().catch(() => undefined);
const pid = await eventually(() => {
  const found = store.driverPid();
  if (found === undefined) throw new Error('there is no driver yet');
  return found;
});
process.stdout.write(`${pid}\n`);
