import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { gigvaultConfig } from '../gigvault.config.ts';
import { checkPorts } from './check-ports.ts';

let other: Server;
let taken: number;
beforeAll(async () => {
  other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  taken = (other.address() as AddressInfo).port;
});
afterAll(() => void other.close());

function check(ports: Record<string, number>, split = true): Promise<void> {
  const free = { https: 0, http: 0, grpc: 0, admin: 0, metrics: 0 };
  const sections = Object.entries({ ...free, ...ports }).map(([name, port]) => [name, { port }]);
  return checkPorts(gigvaultConfig.parse({ split, ...Object.fromEntries(sections) }));
}

describe('checkPorts', () => {
  it('names the port, its flag, and in split mode the service that it is for', async () => {
    await expect(check({ grpc: taken }, false)).rejects.toThrow(
      `Port ${taken} is in use by another program. End it, or choose another port with --grpc-port.`,
    );
    for (const base of ['grpc', 'admin', 'metrics'])
      await expect(check({ [base]: taken })).rejects.toMatchObject({
        code: 'CONFLICT',
        message: `Port ${taken} (ca) is in use by another program. End it, or choose another --${base}-port: the processes take ports from there on.`,
      });
  });

  it('refuses two listeners on one port, and ports that do not exist', async () => {
    await expect(check({ https: 7002, grpc: 7000 })).rejects.toThrow(
      '--https-port and --grpc-port (keymgr) are both 7002',
    );
    await expect(check({ grpc: 7000, metrics: 7009 })).rejects.toThrow(
      '--grpc-port (notify) and --metrics-port (ca) are both 7009',
    );
    await expect(check({ grpc: 65_530 })).rejects.toThrow('would be port 65536');
    await expect(check({}, false)).resolves.toBeUndefined();
  });
});
