import { afterAll, afterEach, beforeAll, beforeEach } from '@jest/globals';
import { type FakeServer, startFakeServer } from './fake-server.ts';
import { createTestMachine, type TestMachine } from './test-terminal.ts';

/** The command of a test file: one server for all tests, one machine with nothing on it for each. */
export interface SharedCli {
  readonly server: FakeServer;
  readonly machine: TestMachine;
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
  });
  afterEach(() => machine.remove());

  return {
    get server() {
      return server;
    },
    get machine() {
      return machine;
    },
  };
}
