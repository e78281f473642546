import { formatSerialNumber } from '@gigvault/x509/serial-number';
import { CliFailure } from '../failure.ts';
import { fieldLines, table } from '../output/table.ts';
import { dayAndDistance } from '../output/times.ts';
import { type Action, textOption } from '../program/command-spec.ts';
import { limitOf, withQuery } from './cert-list.ts';
import { certificatesOf, presentedChain } from './certificate-text.ts';
import { namesOf } from './people.ts';
import type { EnrolmentDocument } from './resources.ts';

/** Lists requests. */
export const csrList: Action = async (session, _args, options) => {
  const api = await session.api();
  const path = withQuery('/csrs', { status: textOption(options, 'status') });
  const items = await api.list<EnrolmentDocument>(path, limitOf(options));
  const now = session.terminal.clock.now();
  const nameOf = await namesOf(
    session,
    items.filter((item) => !item.requesterName).map((item) => item.requester),
  );
  await session.output.result({
    data: { items },
    names: items.map((item) => item.requestId),
    text: (style) =>
      table(
        [
          { head: 'ID', cell: (item) => item.requestId },
          { head: 'NAMES', cell: (item) => item.names.join(',') || item.commonName },
          { head: 'PROFILE', cell: (item) => item.profile },
          { head: 'STATUS', cell: (item) => item.status },
          { head: 'VOTES', cell: (item) => votesText(item) },
          { head: 'REQUESTER', cell: (item) => item.requesterName ?? nameOf(item.requester) },
          { head: 'CREATED', cell: (item) => dayAndDistance(item.createdAt, now) },
        ],
        items,
        style,
      ),
  });
};

/** Shows one request. */
export const csrGet: Action = async (session, [id = ''], options) => {
  const api = await session.api();
  const found = await api.get<EnrolmentDocument>(`/csrs/${encodeURIComponent(id)}`);
  if (options['pem'] || session.output.format === 'pem') {
    if (!found.certificate) throw notIssued(found);
    const certificates = certificatesOf(`${found.certificate}${found.chain ?? ''}`, 'the answer');
    session.terminal.writeOut(presentedChain(certificates));
    return;
  }
  const people = peopleOf(found);
  const nameOf = await namesOf(
    session,
    people.filter(({ name }) => !name).map(({ actor }) => actor),
  );
  const shown = (actor: string) => {
    const name = people.find((each) => each.actor === actor)?.name ?? nameOf(actor);
    return name === actor ? actor : `${name} (${actor})`;
  };
  await session.output.result({
    data: found,
    names: [found.requestId],
    text: (style) =>
      fieldLines(
        [
          ['id', found.requestId],
          ['names', found.names.join('  ')],
          ['profile', found.profile],
          ['status', found.status],
          ['requester', shown(found.requester)],
          ['reason', found.reason],
          ['decision', `${found.decision.outcome} by policy "${found.decision.policy}"`],
          ...found.decision.rules.map(
            (rule) => ['rule', `${rule.outcome}: ${rule.message}`] as const,
          ),
          ['approvals', votesText(found)],
          ...found.votes.map(
            (v) =>
              [
                'vote',
                `${shown(v.actor)} ${v.approve ? 'approved' : 'rejected'} ${v.comment}`,
              ] as const,
          ),
          ...(found.serialNumber
            ? [['serial', formatSerialNumber(found.serialNumber)] as const]
            : []),
          ...(found.error ? [['error', found.error.message] as const] : []),
        ],
        style,
      ),
  });
};

/** Who asked and who voted, with their names as the request has them. */
function peopleOf({ requester, requesterName, votes }: EnrolmentDocument) {
  return [
    { actor: requester, name: requesterName },
    ...votes.map(({ actor, actorName }) => ({ actor, name: actorName })),
  ];
}

function votesText({ votes, approvalsNeeded }: EnrolmentDocument): string {
  return `${votes.filter((vote) => vote.approve).length} of ${approvalsNeeded}`;
}

function notIssued({ requestId, status }: EnrolmentDocument): CliFailure {
  const waits = status === 'pending' || status === 'approved';
  return new CliFailure(`the request is ${status}: there is no certificate`, {
    code: 'CERTIFICATE_NOT_FOUND',
    ...(waits ? { exitCode: 8 } : {}),
    tries: [{ command: `gigvault csr get ${requestId}` }],
  });
}
