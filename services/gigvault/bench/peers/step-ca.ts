import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { StepSignSetup } from '../step-sign-load.ts';
import { makeOpensslCa } from './openssl-ca.ts';
import { type AcmePeer, peerFolder, startPeer } from './peer.ts';
import { portsOf } from './ports.ts';

/** step-ca, with its database as `step ca init` configures it. */
export interface StepCa extends AcmePeer {
  /** For the load of its /1.0/sign. */
  readonly sign: StepSignSetup;
}

const PROVISIONER = 'bench';

/** Starts it with an ACME provisioner, and a JWK provisioner for one-time tokens. */
export async function startStepCa(): Promise<StepCa> {
  const folder = peerFolder('step-ca');
  const ca = makeOpensslCa(folder);
  const [port, http01Port] = await portsOf('step-ca');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = {
    ...publicKey.export({ format: 'jwk' }),
    use: 'sig',
    kid: PROVISIONER,
    alg: 'ES256',
  };
  const config = join(folder, 'ca.json');
  writeFileSync(
    config,
    JSON.stringify({
      root: ca.root,
      crt: ca.intermediate,
      key: ca.intermediateKey,
      address: `127.0.0.1:${port}`,
      dnsNames: ['localhost'],
      logger: { format: 'text' },
      db: { type: 'badgerv2', dataSource: join(folder, 'db') },
      authority: {
        provisioners: [
          { type: 'ACME', name: 'acme' },
          { type: 'JWK', name: PROVISIONER, key },
        ],
      },
    }),
  );
  const origin = `https://localhost:${port}`;
  const peer = await startPeer({
    program: 'step-ca',
    args: [config, '--insecure', '--acme-http-port', `${http01Port}`],
    readyUrl: `${origin}/health`,
    folder,
  });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  return {
    ...peer,
    directory: `${origin}/acme/acme/directory`,
    http01Port,
    sign: { origin, provisioner: PROVISIONER, privateKey: pem },
  };
}
