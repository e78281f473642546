import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeServerCertificate } from './openssl-ca.ts';
import { type AcmePeer, peerFolder, startPeer } from './peer.ts';
import { portsOf } from './ports.ts';

/** Pebble: everything in memory. Without the sleeps and refusals that it makes to test clients. */
export async function startPebble(): Promise<AcmePeer> {
  const folder = peerFolder('pebble');
  const [port, http01Port] = await portsOf('pebble');
  const config = join(folder, 'pebble.json');
  const pebble = {
    listenAddress: `127.0.0.1:${port}`,
    ...makeServerCertificate(folder),
    httpPort: http01Port,
    externalAccountBindingRequired: false,
  };
  writeFileSync(config, JSON.stringify({ pebble }));
  const directory = `https://localhost:${port}/dir`;
  const peer = await startPeer({
    program: 'pebble',
    args: ['-config', config],
    env: { PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0', PEBBLE_AUTHZREUSE: '0' },
    readyUrl: directory,
    folder,
  });
  return { ...peer, directory, http01Port };
}
