import { formatSerialNumber } from '@gigvault/x509/serial-number';
import { CliFailure } from '../failure.ts';
import { fieldLines } from '../output/table.ts';
import { day, dayAndDistance } from '../output/times.ts';
import type { Action } from '../program/command-spec.ts';
import { plainName } from './cert-list.ts';
import { certificatesOf, presentedChain, serialNumberOf } from './certificate-text.ts';
import { namesOf } from './people.ts';
import type { CertificateDocument } from './resources.ts';

/** Shows one certificate. */
export const certGet: Action = async (session, [serial = ''], options) => {
  const serialNumber = await serialNumberOf(session, serial, options['decimal'] === true);
  const api = await session.api();
  const found = await api.get<CertificateDocument>(`/certificates/${serialNumber}`);
  if (options['pem'] || session.output.format === 'pem') {
    if (!found.certificate)
      throw new CliFailure('this certificate was never released', {
        code: 'CERTIFICATE_NOT_FOUND',
      });
    const certificates = certificatesOf(found.certificate + found.chain, 'the answer');
    session.terminal.writeOut(presentedChain(certificates));
    return;
  }
  const nameOf = await namesOf(session, [found.requester]);
  const now = session.terminal.clock.now();
  await session.output.result({
    data: found,
    names: [found.serialNumber],
    text: (style) =>
      fieldLines(
        [
          ['serial', formatSerialNumber(found.serialNumber)],
          ['name', found.commonName],
          ['names', found.names.map(plainName).join('  ')],
          ['status', statusText(found)],
          ['profile', found.profile],
          ['issuer', found.issuerId],
          ['valid', `${day(found.notBefore)} → ${dayAndDistance(found.notAfter, now)}`],
          ['requester', nameOf(found.requester)],
        ],
        style,
      ),
  });
};

function statusText({ status, revokedAt, reason }: CertificateDocument): string {
  return status === 'revoked' && revokedAt
    ? `revoked on ${day(revokedAt)} (${reason ?? 'unspecified'})`
    : status;
}
