import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { MasterKeyRotation, MasterKeyStatus } from '@gigvault/keystore/key-store';
import { durableStep } from '@gigvault/telemetry/durable-step';
import type { Log } from '@gigvault/telemetry/log';
import type { Backends } from '../backends/backends.ts';
import type { EventWriter } from '../ports/event-writer.ts';

/** What replacing a master key needs. */
export interface MasterKeyDeps {
  readonly backends: Backends;
  readonly events: EventWriter;
  readonly log: Log;
  /** Keys that are put under the new master key between two looks at whether the process is to end. Default 100. */
  readonly batch?: number;
}

const BATCH = 100;
const ACTOR = 'service:keymgr';

/** How the master keys of a backend are. Errors: NOT_FOUND, OPERATION_NOT_SUPPORTED for a backend that has none. */
export function masterKeyStatus(
  deps: Pick<MasterKeyDeps, 'backends'>,
  backend: string,
): Promise<MasterKeyStatus> {
  return rotationOf(deps, backend).status();
}

/**
 * Gives a backend a new master key, under which keys are made from then on; continueRotations puts the others under it. It is told before it is done: after a
 * crash in between, and for the second of two at one time, nothing has changed. Errors: those of masterKeyStatus; OPERATION_NOT_SUPPORTED, too, when it is kept elsewhere; CONFLICT while the last
 * rotation is not at its end, or when `replaces` is not the current master key.
 *
 * @param actor as in events
 */
export async function rotateMasterKey(
  deps: MasterKeyDeps,
  { backend, replaces }: { readonly backend: string; readonly replaces?: string | undefined },
  actor: string,
): Promise<MasterKeyStatus> {
  const rotation = rotationOf(deps, backend);
  const { begin } = rotation;
  if (begin === undefined) throw keptElsewhere(backend);
  const { current, earlier, keysUnderEarlier } = await rotation.status();
  if (earlier.length > 0 || keysUnderEarlier > 0) {
    const message = `The last rotation goes on: ${keysUnderEarlier} keys are under an earlier master key.`;
    throw new GigvaultError('CONFLICT', message, { details: { backend } });
  }
  if (replaces !== undefined && replaces !== current) {
    const message = `The master key is ${current} by now.`;
    throw new GigvaultError('CONFLICT', message, { details: { backend } });
  }
  const event = { actor, subject: backend, data: { from: current } };
  await durableStep('keymgr.master-key-told', () =>
    deps.events.append({ type: 'master-key.rotation-begun', ...event }),
  );
  const to = await durableStep('keymgr.master-key', () => begin(current));
  deps.log.info({ backend, operation: 'rotate-master-key', actor, to }, 'a new master key is made');
  return rotation.status();
}

/**
 * Puts every key under the current master key of its backend, and removes the earlier ones; also after a restart, and for a master key that was replaced where
 * it is kept elsewhere, where it is then removed by whoever keeps it. Ends early when `signal` aborts. Errors: KEY_UNAVAILABLE when a key cannot be opened: then
 * the earlier master keys stay.
 */
export async function continueRotations(deps: MasterKeyDeps, signal: AbortSignal): Promise<void> {
  for (const { backend, masterKeyRotation } of deps.backends.all)
    if (masterKeyRotation !== undefined)
      await continueRotation(deps, backend, masterKeyRotation, signal);
}

async function continueRotation(
  deps: MasterKeyDeps,
  backend: string,
  rotation: MasterKeyRotation,
  signal: AbortSignal,
): Promise<void> {
  const { current, earlier, keys, keysUnderEarlier } = await rotation.status();
  const { end } = rotation;
  // Those that are kept elsewhere stay there: nothing more is to be done of them, and nothing to be told.
  if (keysUnderEarlier === 0 && (earlier.length === 0 || end === undefined)) return;
  const where = { backend, operation: 'rotate-master-key', to: current };
  for (let left = keysUnderEarlier; left > 0; ) {
    if (signal.aborted) return;
    left = await durableStep('keymgr.master-key-taken', () =>
      rotation.rewrapNext(deps.batch ?? BATCH),
    );
    deps.log.info({ ...where, keys, left }, 'keys are put under the new master key');
  }
  // Told once more when the process dies before the last step: an audit log says it twice rather than not.
  await durableStep('keymgr.master-key-end-told', () =>
    deps.events.append({
      type: 'master-key.rotated',
      actor: ACTOR,
      subject: backend,
      data: { from: earlier, to: current, keys },
    }),
  );
  if (end === undefined) {
    deps.log.info({ ...where, keys }, 'no key needs the earlier master keys: remove them');
    return;
  }
  await durableStep('keymgr.master-key-end', end);
  deps.log.info({ ...where, keys }, 'the earlier master keys are removed');
}

function rotationOf(
  { backends }: Pick<MasterKeyDeps, 'backends'>,
  name: string,
): MasterKeyRotation {
  const { masterKeyRotation } = backends.named(name);
  if (masterKeyRotation !== undefined) return masterKeyRotation;
  const message = `Backend '${name}' has no master key: its keys protect themselves.`;
  throw new GigvaultError('OPERATION_NOT_SUPPORTED', message, { details: { backend: name } });
}

function keptElsewhere(backend: string): GigvaultError {
  return new GigvaultError(
    'OPERATION_NOT_SUPPORTED',
    'The master key is not kept here. Make the new one where it is, name the old one in keymgr.earlierMasterKeys, and start again.',
    { details: { backend } },
  );
}
