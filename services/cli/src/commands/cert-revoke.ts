import { LEAF_REASONS } from '@gigvault/x509/reason-code';
import { formatSerialNumber } from '@gigvault/x509/serial-number';
import { usage } from '../failure.ts';
import { type Action, textOption } from '../program/command-spec.ts';
import type { Session } from '../session.ts';
import { plainName } from './cert-list.ts';
import { serialNumberOf } from './certificate-text.ts';
import type { CertificateDocument } from './resources.ts';

interface Revocation {
  readonly serialNumber: string;
  readonly revokedAt: string;
  readonly reason: string;
}

/** Revokes a certificate after saying which. */
export const certRevoke: Action = async (session, [serial = ''], options) => {
  const reason = reasonOf(textOption(options, 'reason') ?? 'unspecified');
  const serialNumber = await serialNumberOf(session, serial, options['decimal'] === true);
  if (!session.options.yes) await ask(session, serialNumber);
  const api = await session.api();
  const revoked = await api.post<Revocation>(`/certificates/${serialNumber}/revoke`, { reason });
  await session.output.result({
    data: revoked,
    names: [revoked.serialNumber],
    text: (style) =>
      `${style.green(style.ok)} Revoked  ${formatSerialNumber(revoked.serialNumber)}   ${revoked.reason}\n` +
      '  OCSP answers revoked within 1 s, the CRL within 60 s\n',
  });
};

async function ask(session: Session, serialNumber: string): Promise<void> {
  const { name, environment } = await session.context();
  const word = environment === 'production' ? name : 'yes';
  if (!session.terminal.stdinIsTty || !session.options.input)
    return session.confirm('This revokes 1 certificate, for ever.', word);
  const found = await (await session.api()).get<CertificateDocument>(
    `/certificates/${serialNumber}`,
  );
  const names = found.names.map(plainName).join(', ') || found.commonName;
  return session.confirm(`This revokes 1 certificate, for ever: ${names} (context ${name}).`, word);
}

function reasonOf(text: string): string {
  const found = LEAF_REASONS.find((name) => name.toLowerCase() === text.toLowerCase());
  if (!found)
    throw usage(`"${text}" is no reason to revoke a certificate: use ${LEAF_REASONS.join(', ')}.`);
  return found;
}
