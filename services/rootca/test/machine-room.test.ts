import { runOrFail } from '@gigvault/testkit/run-program';
import { expect, it } from '@jest/globals';
import { surroundings } from './ceremony-fixture.ts';

const MODULE = new URL('../src/adapters/machine-room.ts', import.meta.url).href;
/** In a network namespace of its own, whose interfaces it may make. */
const ROOM = [
  'mount -t sysfs sysfs /sys',
  'ip link add cable type veth peer name spare',
  'ip link set cable up',
  'exec "$@"',
].join(' && ');

it('a network is there once an interface is switched on, also without an address', async () => {
  const look = `const { machineRoom } = await import(${JSON.stringify(MODULE)});
    const { networkUp, networkDown } = await machineRoom(${JSON.stringify(surroundings().program)}).look();
    console.log(JSON.stringify({ networkUp, networkDown }));`;
  const node = [process.execPath, '--input-type=module', '--eval', look];
  const inside = ['--map-root-user', '--net', '--mount', 'sh', '-c', ROOM, 'sh', ...node];
  expect(JSON.parse(await runOrFail('unshare', inside))).toEqual({
    networkUp: ['cable'],
    networkDown: ['spare'],
  });
});
