import { acmeLoad } from './acme-load.ts';
import { closedLoop } from './closed-loop.ts';
import { issuanceLoad } from './issuance-load.ts';
import type { LoadOrder, LoadReport } from './load-process.ts';
import { signingLoad } from './signing-load.ts';
import { stepSignLoad } from './step-sign-load.ts';

/** What a load does. */
export interface Load {
  /** Makes ready for this many clients; not clocked. */
  prepare(clients: number): Promise<void>;
  /** One operation of one client, counted from 0. */
  operation(client: number): Promise<void>;
}

/** A load process: `bench-load.js <name>`. The first message is the load's setup, each other one an order. */
const LOADS: Readonly<Record<string, (setup: never) => Promise<Load>>> = {
  acme: acmeLoad,
  issuance: issuanceLoad,
  signing: signingLoad,
  'step-sign': stepSignLoad,
};

const open = LOADS[process.argv[2] ?? ''];
if (open === undefined) throw new Error(`there is no load ${process.argv[2]}`);
let load: Promise<Load> | undefined;

process.on('message', (message) => {
  if (load === undefined) {
    load = open(message as never);
    // Told when the first order comes.
    load.catch(() => undefined);
  } else void serve(load, message as LoadOrder).then((report) => process.send?.(report));
});
process.on('disconnect', () => process.exit(0));

async function serve(opening: Promise<Load>, order: LoadOrder): Promise<LoadReport> {
  try {
    const { prepare, operation } = await opening;
    await prepare(order.concurrency);
    return await closedLoop(operation, order.concurrency, order.ms);
  } catch (error) {
    return { error: (error as Error).stack ?? String(error) };
  }
}
