import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AcmePeer, peerFolder, startPeer } from './peer.ts';
import { portsOf } from './ports.ts';

/** Caddy's ACME server. Its validations go to port 80 and nowhere else. */
export async function startCaddy(): Promise<AcmePeer> {
  const folder = peerFolder('caddy');
  const [port, httpPort] = await portsOf('caddy');
  const config = join(folder, 'Caddyfile');
  writeFileSync(
    config,
    `{
  admin off
  skip_install_trust
  http_port ${httpPort}
  auto_https disable_redirects
  storage file_system ${folder}/storage
  log default {
    level ERROR
  }
}
https://localhost:${port} {
  tls internal
  acme_server
}
`,
  );
  const directory = `https://localhost:${port}/acme/local/directory`;
  const peer = await startPeer({
    program: 'caddy',
    args: ['run', '--config', config, '--adapter', 'caddyfile'],
    readyUrl: directory,
    folder,
  });
  return { ...peer, directory, http01Port: 80 };
}
