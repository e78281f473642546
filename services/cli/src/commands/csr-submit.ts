import { formatSerialNumber } from '@gigvault/x509/serial-number';
import type { Action } from '../program/command-spec.ts';
import { decided, PENDING, submit, tellPending } from './enrolment.ts';
import { readInput } from './files.ts';

/** Submits a request that was made elsewhere. */
export const csrSubmit: Action = async (session, [file = ''], options) => {
  const pem = await readInput(session.terminal, file);
  const submitted = await submit(session, '/csrs', pem, options, {
    command: 'gigvault csr list',
    note: 'the request may have arrived',
  });
  const request = await decided(session, submitted, options);
  if (request.status !== 'issued') tellPending(session, request);
  await session.output.result({
    data: request,
    names: [request.requestId],
    text: (style) =>
      request.status === 'issued'
        ? `${style.green(style.ok)} Issued  ${request.names.join('  ')}\n` +
          `  request   ${request.requestId}\n  serial    ${formatSerialNumber(request.serialNumber ?? '')}\n` +
          `  get it    gigvault csr get ${request.requestId} --pem\n`
        : `${request.requestId}  ${request.status}\n`,
  });
  return request.status === 'issued' ? 0 : PENDING;
};
