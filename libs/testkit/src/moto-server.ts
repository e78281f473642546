import { join } from 'node:path';
import { REPOSITORY } from './pki-process.ts';
import { startServer, TEST_SERVERS } from './server-program.ts';

/** AWS as moto plays it. Any credentials do. */
export interface MotoServer {
  /** As `http://127.0.0.1:38563`. */
  readonly endpoint: string;
  readonly region: string;
  stop(): Promise<void>;
}

/** An AWS of its own, empty, with what moto lacks (moto-server.py). */
export async function startMoto(): Promise<MotoServer> {
  const program = join(REPOSITORY, 'libs', 'testkit', 'src', 'moto-server.py');
  const server = await startServer('python3', [program, '0'], {
    serving: /Running on (http:\/\/\S+)/,
    env: { PYTHONPATH: TEST_SERVERS, PYTHONDONTWRITEBYTECODE: '1' },
  });
  return { endpoint: server.found, region: 'eu-central-1', stop: server.stop };
}
