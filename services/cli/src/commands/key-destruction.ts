import { day } from '../output/times.ts';
import type { Action } from '../program/command-spec.ts';
import type { Session } from '../session.ts';
import { keyPath } from './key.ts';
import { namesOf } from './people.ts';
import type { DestructionDocument } from './resources.ts';

/** Shows what the destruction of a key waits for. */
export const keyDestruction: Action = async (session, [keyId = '']) => {
  const api = await session.api();
  await show(session, keyId, await api.get<DestructionDocument>(`${keyPath(keyId)}/destruction`));
};

/** Approves the destruction that somebody else asked for. */
export const keyApprove: Action = async (session, [keyId = '']) => {
  await session.confirm(
    `This approves that the key ${keyId} is destroyed, with all its versions.`,
    'yes',
  );
  const api = await session.api();
  const path = `${keyPath(keyId)}/destruction/approve`;
  await show(session, keyId, await api.post<DestructionDocument>(path, {}));
};

async function show(session: Session, keyId: string, document: DestructionDocument): Promise<void> {
  const { destroyAt, requestedBy = '', approvedBy, approvalsNeeded } = document;
  const nameOf = await namesOf(session, [requestedBy, ...approvedBy]);
  const by = approvedBy.length > 0 ? `: ${approvedBy.map(nameOf).join(', ')}` : '';
  await session.output.result({
    data: document,
    names: [keyId],
    text: () =>
      [
        `${keyId} is destroyed on ${day(destroyAt)} at the earliest, as ${nameOf(requestedBy)} asked.`,
        `Approved by ${approvedBy.length} of ${approvalsNeeded}${by}.`,
        '',
      ].join('\n'),
  });
}
