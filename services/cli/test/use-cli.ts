import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { type FakeServer, startFakeServer } from './fake-server.ts';
import { createTestMachine, type TestMachine } from './test-terminal.ts';

/** The command of a test file: one server for all tests, one machine with nothing on it for each. */
export interface SharedCli {
  readonly server: FakeServer;
  readonly machine: TestMachine;
  /** The permissions of what lies there in the machine's configuration folder. */
  modeOf(...path: string[]): Promise<number>;
}

/** Starts the server before the tests of the file, and removes everything after them. */
export function useCli(): SharedCli {
  let server: FakeServer;
  let machine: TestMachine;

  beforeAll(async () => {
    server = await startFakeServer();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    machine = await createTestMachine(server);
    server.requests.length = 0;
    server.expireTokens();
  });
  afterEach(() => machine.remove());

  return {
    get server() {
      return server;
    },
    get machine() {
      return machine;
    },
    modeOf: async (...path) => (await stat(join(machine.config, ...path))).mode & 0o777,
  };
}
