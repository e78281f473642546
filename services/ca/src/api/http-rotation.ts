import { type HttpRoute, operation } from '@gigvault/http/route';
import { fromPem, toPem } from '@gigvault/x509/pem';
import type { z } from 'zod';
import { acceptSuccessor } from '../rotation/accept-successor.ts';
import { beginRotation, type RotationProgress } from '../rotation/begin-rotation.ts';
import type { CaDeps } from './grpc.ts';
import { ERRORS, EXAMPLES } from './http-examples.ts';
import { lineParams, rotateBody, rotationReply, successorBody } from './http-schemas.ts';

/** The rotation of a CA's key; docs/flows/ca-rotation.md. */
export function rotationOperations(deps: CaDeps): HttpRoute[] {
  return [rotateOperation(deps), successorOperation(deps)];
}

function rotateOperation(deps: CaDeps): HttpRoute {
  return operation({
    operationId: 'rotateIssuer',
    method: 'POST',
    path: '/issuers/:line/rotate',
    tag: 'Issuers',
    summary: "Begin the rotation of a CA's key, or see how far it has come",
    description:
      'Makes the new key. The root has to sign the request; until then nothing changes. Repeated, it returns a request for the same key.',
    permission: 'issuers:rotate',
    params: lineParams,
    body: rotateBody,
    replies: { 200: rotationReply },
    examples: EXAMPLES.rotateIssuer,
    errors: ERRORS.rotateIssuer,
    async handle({ params, body, principal }) {
      const wanted = { line: params.line, wanted: body.generation };
      const progress = await beginRotation(deps.rotation, wanted, principal?.actor ?? '');
      return { status: 200, body: toReply(progress) };
    },
  });
}

function successorOperation(deps: CaDeps): HttpRoute {
  return operation({
    operationId: 'acceptSuccessor',
    method: 'POST',
    path: '/issuers/:line/successor',
    tag: 'Issuers',
    summary: "Hand in the certificate of a CA's new key",
    description:
      'The new key issues as soon as OCSP and CRLs answer for it. What the key before has issued keeps its status.',
    permission: 'issuers:rotate',
    params: lineParams,
    body: successorBody,
    replies: { 200: rotationReply },
    examples: EXAMPLES.acceptSuccessor,
    errors: ERRORS.acceptSuccessor,
    async handle({ params, body, principal }) {
      const certificate = fromPem(body.certificate, 'CERTIFICATE')[0] as Buffer;
      const wanted = { line: params.line, certificate };
      const progress = await acceptSuccessor(deps.issuers, wanted, principal?.actor ?? '');
      return { status: 200, body: toReply(progress) };
    },
  });
}

function toReply({
  issuerId,
  line,
  generation,
  state,
  certificationRequest,
  rootCertificate,
}: RotationProgress): z.infer<typeof rotationReply> {
  const progress = { issuerId, line, generation, state };
  if (certificationRequest === undefined) return progress;
  return {
    ...progress,
    certificationRequest: toPem('CERTIFICATE REQUEST', certificationRequest),
    ...(rootCertificate && { rootCertificate: toPem('CERTIFICATE', rootCertificate) }),
  };
}
