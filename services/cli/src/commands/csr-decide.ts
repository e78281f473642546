import { formatSerialNumber } from '@gigvault/x509/serial-number';
import { type Action, type CommandOptions, textOption } from '../program/command-spec.ts';
import type { Session } from '../session.ts';
import type { EnrolmentDocument } from './resources.ts';

/** Approves a request; the last approval that it needs has it issued. */
export const csrApprove: Action = (session, [id = ''], options) =>
  decide(session, id, 'approve', options);

/** Rejects a request. */
export const csrReject: Action = (session, [id = ''], options) =>
  decide(session, id, 'reject', options);

async function decide(
  session: Session,
  id: string,
  verb: 'approve' | 'reject',
  options: CommandOptions,
): Promise<undefined> {
  const api = await session.api();
  const comment = textOption(options, 'comment') ?? '';
  const request = await api.post<EnrolmentDocument>(`/csrs/${encodeURIComponent(id)}/${verb}`, {
    comment,
  });
  const { votes, approvalsNeeded, status, serialNumber } = request;
  const got = votes.filter((vote) => vote.approve).length;
  const done = verb === 'approve' ? `Approved (${got} of ${approvalsNeeded})` : 'Rejected';
  await session.output.result({
    data: request,
    names: [request.requestId],
    text: (style) =>
      `${style.green(style.ok)} ${done}  ${request.names.join('  ')}   ${status}\n` +
      (serialNumber ? `  serial    ${formatSerialNumber(serialNumber)}\n` : ''),
  });
}
