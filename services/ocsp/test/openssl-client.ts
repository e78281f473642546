import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { NO_DOOR } from '@gigvault/http/admit';
import { type HttpServer, startHttpServer } from '@gigvault/http/http-server';
import { silentLog } from '@gigvault/telemetry/log';
import { toPem } from '@gigvault/x509/pem';
import type { OcspWorld } from './ocsp-world.ts';

/** The world's routes on a listener of their own. */
export function listen(world: OcspWorld): Promise<HttpServer> {
  return startHttpServer({
    listeners: ['status'],
    host: '127.0.0.1',
    port: 0,
    baseUrl: 'http://127.0.0.1',
    behindProxy: false,
    routes: world.routes.map((route) => ({
      service: 'ocsp',
      route,
      door: NO_DOOR,
    })),
    log: silentLog,
    metrics: world.metrics,
  });
}

/** `openssl ocsp` about one leaf. `-cert` asks for the leaf; `-sha256` too, with that hash; `-serial` for a number never issued. */
export async function opensslClient(ca: Buffer, leaf: Buffer, port: number) {
  const directory = await mkdtemp(join(tmpdir(), 'gigvault-ocsp-'));
  await writeFile(join(directory, 'ca.pem'), toPem('CERTIFICATE', ca));
  await writeFile(join(directory, 'leaf.pem'), toPem('CERTIFICATE', leaf));
  const run = async (what: '-cert' | '-serial' | '-sha256', ...more: string[]) => {
    const about = what === '-serial' ? ['-serial', '0x1234abcd'] : ['-cert', 'leaf.pem'];
    const { stdout, stderr } = await promisify(execFile)(
      'openssl',
      [
        'ocsp',
        ...(what === '-sha256' ? ['-sha256'] : []),
        '-issuer',
        'ca.pem',
        ...about,
        '-CAfile',
        'ca.pem',
        '-url',
        `http://127.0.0.1:${port}/ocsp`,
        ...more,
      ],
      { cwd: directory },
    );
    return stderr + stdout;
  };
  return Object.assign(run, { end: () => rm(directory, { recursive: true, force: true }) });
}
