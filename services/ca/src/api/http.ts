import { GigvaultError } from '@gigvault/errors/gigvault-error';
import { page } from '@gigvault/http/paging';
import { type HttpReply, type HttpRequest, type HttpRoute, operation } from '@gigvault/http/route';
import { formatName } from '@gigvault/x509/name';
import { toPem } from '@gigvault/x509/pem';
import { REASON_CODE, reasonName } from '@gigvault/x509/reason-code';
import type { z } from 'zod';
import { certificateNotFound, getCertificate } from '../certificates/get-certificate.ts';
import { listCertificates } from '../certificates/list-certificates.ts';
import type { PlacedIssuer } from '../issuers/issuer-registry.ts';
import { REVOCATION_REASONS } from '../revocation/revocation-reason.ts';
import { revokeCertificate } from '../revocation/revoke-certificate.ts';
import type { CaDeps } from './grpc.ts';
import { ERRORS, EXAMPLES } from './http-examples.ts';
import { rotationOperations } from './http-rotation.ts';
import {
  certificateDocument,
  certificatePage,
  type issuerItem,
  issuerList,
  issuerQuery,
  listQuery,
  revokeBody,
  revokeReply,
  rfc3339,
  serialParams,
  toItem,
} from './http-schemas.ts';

/** The CA's operations of the REST API. `POST /certificates` is the RA's: asking for a certificate is an enrolment. */
export function caOperations(deps: CaDeps): HttpRoute[] {
  return [
    listOperation(deps),
    getOperation(deps),
    revokeOperation(deps),
    issuersOperation(deps),
    ...rotationOperations(deps),
  ];
}

function listOperation(deps: CaDeps): HttpRoute {
  return operation({
    operationId: 'listCertificates',
    method: 'GET',
    path: '/certificates',
    tag: 'Certificates',
    summary: 'List certificates, newest first; expired ones by their end',
    description: 'Without the permission `certificates:read-all`: those that you asked for.',
    permission: 'certificates:read',
    query: listQuery,
    replies: { 200: certificatePage },
    examples: EXAMPLES.listCertificates,
    async handle({ query, principal }) {
      const own = onlyRequester(principal);
      const { requester = own ?? '', status = '', commonName = '' } = query;
      // What is somebody else's looks like what does not exist.
      if (own !== undefined && requester !== own) return { status: 200, body: page([], '') };
      const { items, nextCursor } = await listCertificates(deps.certificates, {
        ...query,
        status,
        commonName,
        requester,
      });
      return { status: 200, body: page(items.map(toItem), nextCursor) };
    },
  });
}

function getOperation(deps: CaDeps): HttpRoute {
  return operation({
    operationId: 'getCertificate',
    method: 'GET',
    path: '/certificates/:serialNumber',
    tag: 'Certificates',
    summary: 'Get a certificate with its chain',
    description: 'Without the permission `certificates:read-all`: one that you asked for.',
    permission: 'certificates:read',
    params: serialParams,
    query: issuerQuery,
    replies: { 200: certificateDocument },
    examples: EXAMPLES.getCertificate,
    errors: ERRORS.getCertificate,
    async handle({ params, query, principal }) {
      const found = await getCertificate(deps.certificates, { ...params, ...query });
      const own = onlyRequester(principal);
      if (own !== undefined && found.requester !== own)
        throw certificateNotFound(found.serialNumber);
      const { chain } = await deps.issuers.issuers.get(found.issuerId);
      const released = found.certificate.length > 0;
      return {
        status: 200,
        body: {
          ...toItem(found),
          ...(released ? { certificate: toPem('CERTIFICATE', found.certificate) } : {}),
          chain: pemChain(chain),
        },
      };
    },
  });
}

function revokeOperation(deps: CaDeps): HttpRoute {
  return operation({
    operationId: 'revokeCertificate',
    method: 'POST',
    path: '/certificates/:serialNumber/revoke',
    tag: 'Certificates',
    summary: 'Revoke a certificate, for ever',
    permission: 'certificates:revoke',
    params: serialParams,
    query: issuerQuery,
    body: revokeBody,
    replies: { 200: revokeReply },
    examples: EXAMPLES.revokeCertificate,
    errors: ERRORS.revokeCertificate,
    async handle({ params, query, body, principal }) {
      const revoked = await revokeCertificate(deps.revocation, {
        ...params,
        ...query,
        reasonCode: reasonOf(body),
        actor: principal?.actor ?? '',
      });
      return {
        status: 200,
        body: {
          ...revoked,
          status: 'revoked',
          revokedAt: rfc3339(revoked.revokedAt),
          reason: reasonName(revoked.reasonCode),
        },
      };
    },
  });
}

function issuersOperation(deps: CaDeps): HttpRoute {
  return operation({
    operationId: 'listIssuers',
    method: 'GET',
    path: '/issuers',
    tag: 'Issuers',
    summary: 'List the issuing CAs by their keys, with their chains',
    permission: 'signed-in',
    replies: { 200: issuerList },
    examples: EXAMPLES.listIssuers,
    async handle() {
      const issuers = await deps.issuers.issuers.placed();
      return { status: 200, body: { items: issuers.map(toIssuerItem) } };
    },
  });
}

const REASON_NAMES = REVOCATION_REASONS.map(reasonName).join(', ');

/** Whose certificates a principal may see; undefined for everybody's. */
function onlyRequester(principal: HttpRequest['principal']): string | undefined {
  return principal?.permissions.has('certificates:read-all') ? undefined : (principal?.actor ?? '');
}

/** The code asked for by number or by name. Errors: BAD_REVOCATION_REASON, INVALID_ARGUMENT when the two differ. */
function reasonOf({ reasonCode, reason }: z.infer<typeof revokeBody>): number {
  if (reason === undefined) return reasonCode ?? 0;
  const named = Object.entries(REASON_CODE).find(([name]) => name === reason)?.[1];
  if (named === undefined) {
    throw new GigvaultError(
      'BAD_REVOCATION_REASON',
      `'${reason}' is not a reason of RFC 5280 §5.3.1: use ${REASON_NAMES}.`,
    );
  }
  if (reasonCode === undefined || reasonCode === named) return named;
  throw new GigvaultError('INVALID_ARGUMENT', 'reason and reasonCode say different things.');
}

function toIssuerItem({
  issuer: { record, certificate, chain },
  place,
}: PlacedIssuer): z.infer<typeof issuerItem> {
  return {
    issuerId: record.issuerId,
    line: record.line,
    generation: record.generation,
    state: place.state,
    subject: formatName(certificate.subject),
    keyType: certificate.publicKey.keyType,
    public: record.public,
    notBefore: rfc3339(certificate.notBefore),
    notAfter: rfc3339(certificate.notAfter),
    ocspUrl: record.ocspUrl,
    crlBaseUrl: record.crlBaseUrl,
    issuerUrl: record.issuerUrl,
    crlShards: record.crlShards,
    certificate: toPem('CERTIFICATE', record.certificate),
    chain: pemChain(chain),
  };
}

function pemChain(chain: readonly Buffer[]): string {
  return chain.map((der) => toPem('CERTIFICATE', der)).join('');
}

/** Issuer certificates where the certificates say they are (RFC 5280 §4.2.2.1): `/ca/<issuerId>.crt`, and as PEM. */
export function issuerFileRoutes(deps: CaDeps): HttpRoute[] {
  return [
    {
      kind: 'protocol',
      listener: 'status',
      method: 'GET',
      path: '/ca/:file',
      bodyLimit: 0,
      errorReply: fileError,
      handle: ({ params }) => issuerFile(deps, params['file'] ?? ''),
    },
  ];
}

async function issuerFile(deps: CaDeps, file: string): Promise<HttpReply> {
  const match = /^([a-z0-9-]{1,63})\.(crt|pem)$/.exec(file);
  if (!match) throw new GigvaultError('NOT_FOUND', 'There is no such file.');
  const certificate = await certificateOf(deps, match[1] ?? '');
  const pem = match[2] === 'pem';
  return {
    status: 200,
    headers: {
      'content-type': pem ? 'application/x-pem-file' : 'application/pkix-cert',
      'cache-control': 'public, max-age=86400',
    },
    body: pem ? toPem('CERTIFICATE', certificate) : certificate,
  };
}

/** An issuer's certificate by its id; `root` is the root that the issuers' chains end in, where their own certificates say it is. */
async function certificateOf(deps: CaDeps, issuerId: string): Promise<Buffer> {
  if (issuerId !== 'root') return (await deps.issuers.issuers.get(issuerId)).record.certificate;
  const [issuer] = await deps.issuers.issuers.list();
  const root = issuer?.chain.at(-1);
  if (root === undefined) throw new GigvaultError('NOT_FOUND', 'There is no root yet.');
  return root;
}

function fileError(error: unknown): HttpReply {
  const status = error instanceof GigvaultError ? error.row.http : 500;
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8' }, body: `${status}\n` };
}
