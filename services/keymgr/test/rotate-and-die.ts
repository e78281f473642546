/**
 * Goes on with the rotation that an earlier process left, rotates the master key, and dies by SIGKILL at the moment of the fault; with `none` it comes to its
 * end. Usage: rotate-and-die.ts <folder> <step:moment>.
 */
import { appendFileSync } from 'node:fs';
import { join } from 'node:path';
import { masterKeyFiles } from '@gigvault/keystore/master-key';
import { pkcs8KeyStore } from '@gigvault/keystore/pkcs8-key-store';
import { installFaultHook } from '@gigvault/telemetry/durable-step';
import { silentLog } from '@gigvault/telemetry/log';
import { backendsOf } from '../src/backends/backends.ts';
import {
  continueRotations,
  type MasterKeyDeps,
  rotateMasterKey,
} from '../src/master-key/rotate-master-key.ts';

const [folder = '', fault = 'none'] = process.argv.slice(2);
const masterKeys = masterKeyFiles(join(folder, 'master.key'));
const store = pkcs8KeyStore({ directory: join(folder, 'keys'), masterKeys });
const deps: MasterKeyDeps = {
  backends: backendsOf([store], 'pkcs8'),
  events: {
    append: async (event) => appendFileSync(join(folder, 'events'), `${JSON.stringify(event)}\n`),
  },
  log: silentLog,
  batch: 3,
};
const never = new AbortController().signal;

await continueRotations(deps, never);
installFaultHook((step, moment) => {
  if (`${step}:${moment}` !== fault) return undefined;
  process.kill(process.pid, 'SIGKILL');
  return new Promise<void>(() => undefined);
});
await rotateMasterKey(deps, { backend: 'pkcs8' }, 'user:admin');
await continueRotations(deps, never);
