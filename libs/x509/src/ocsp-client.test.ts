import { describe, expect, it } from '@jest/globals';
import {
  leafFields,
  NOW,
  newAuthority,
  newKey,
  OCSP_SIGNER,
  signed,
  TLS_SERVER,
} from '../test/authority.ts';
import { compileTemplate } from './certificate-template.ts';
import {
  assembleOcspResponse,
  buildResponseData,
  readOcspRequest,
  type SingleResponse,
} from './ocsp.ts';
import { buildOcspRequest, isAuthorizedAnswer, readOcspResponse } from './ocsp-client.ts';
import { publicKeyInfoOf } from './public-key.ts';
import { signatureAlgorithm, signTbs } from './signature.ts';

const authority = newAuthority();
const responderKey = newKey();
const responder = publicKeyInfoOf(responderKey);
const delegate = { subject: [{ type: 'CN', value: 'OCSP' }], subjectAltName: [] };
const responderCertificate = signed(
  compileTemplate(OCSP_SIGNER, authority.info).build(leafFields(responderKey, delegate)),
  authority.key,
);

function single(serialNumber: string, status: SingleResponse['status']): SingleResponse {
  const { certId } = readOcspRequest(buildOcspRequest(authority.info.certificate, serialNumber))
    .requests[0]!;
  return { certId, status, thisUpdate: NOW, nextUpdate: NOW + 1000 };
}

describe('answers', () => {
  it('count only when the issuer or its delegate signed them', () => {
    const data = buildResponseData({
      responderKeyHash: responder.keyIdentifier,
      producedAt: NOW,
      responses: [single('01', 'good')],
    });
    const answer = (signer: typeof responderKey, certificates: Buffer[]) =>
      readOcspResponse(
        assembleOcspResponse(
          data,
          signatureAlgorithm('ec-p256'),
          signTbs(signer, data),
          certificates,
        ),
      );
    const ca = authority.info.certificate;
    expect(isAuthorizedAnswer(answer(responderKey, [responderCertificate]), ca)).toBe(true);
    expect(isAuthorizedAnswer(answer(newKey(), [responderCertificate]), ca)).toBe(false);
    expect(isAuthorizedAnswer(answer(responderKey, []), ca)).toBe(false);
    const server = signed(
      compileTemplate(TLS_SERVER, authority.info).build(leafFields(responderKey)),
      authority.key,
    );
    expect(isAuthorizedAnswer(answer(responderKey, [server]), ca)).toBe(false);
    expect(
      isAuthorizedAnswer(
        answer(responderKey, [responderCertificate]),
        newAuthority().info.certificate,
      ),
    ).toBe(false);
    const byIssuer = buildResponseData({
      responderKeyHash: authority.certificate.keyIdentifier!,
      producedAt: NOW,
      responses: [single('01', 'good')],
    });
    const direct = assembleOcspResponse(
      byIssuer,
      signatureAlgorithm('ec-p256'),
      signTbs(authority.key, byIssuer),
      [],
    );
    expect(isAuthorizedAnswer(readOcspResponse(direct), ca)).toBe(true);
  });
});
