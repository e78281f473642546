import { describe, expect, it } from '@jest/globals';
import { openApiDocument } from '../libs/http/src/openapi.ts';
import { contracts } from '../libs/rpc/src/contract-descriptors.ts';
import { restOperations } from './reference/rest-page.ts';

/** What a private or secret key, or a way to one, would be called. */
const KEY_MATERIAL =
  /private|pkcs ?8|pkcs ?12|jwk$|key_?material|key_?bytes|raw_?key|export|seed|unwrap/i;

/** The names of all properties in a JSON schema or a protobuf descriptor. */
function namesIn(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [
    ...(name === 'properties' ? Object.keys(inner as object) : []),
    ...namesIn(inner),
  ]);
}

const operations = Object.values(restOperations()).flat();

/** Every field of every message that any RPC answers, by `<message>.<field>`. */
function answeredFields(): string[] {
  const fields = Object.values(contracts()).flatMap((definition) => {
    const message = (definition as { type?: { name?: string; field?: { name: string }[] } }).type;
    return (message?.field ?? []).map(({ name }) => `${message?.name}.${name}`);
  });
  return [...new Set(fields)];
}

// The root's key is not online: what it signs custodians sign (services/rootca). A key's destruction: services/keymgr/src/destruction/approve-destruction.test.ts.
describe('covers: T64. one administrator alone', () => {
  it('gets no key out by REST: no operation answers one, whatever it is asked', () => {
    const { paths } = openApiDocument(operations, '0') as {
      paths: Record<string, Record<string, { operationId: string; responses: object }>>;
    };
    const answered = Object.values(paths)
      .flatMap((methods) => Object.values(methods))
      .flatMap(({ operationId, responses }) =>
        namesIn(responses).map((name) => `${operationId}.${name}`),
      );
    expect(answered).toContain('getKey.publicKey');
    expect(answered.filter((name) => KEY_MATERIAL.test(name))).toEqual([]);
    const named = operations.filter(({ path, operationId }) =>
      KEY_MATERIAL.test(`${path} ${operationId}`),
    );
    expect(named).toEqual([]);
  });

  it('gets no key out by gRPC, and no service does', () => {
    const fields = answeredFields();
    expect(fields).toContain('Key.publicKeyPem');
    expect(fields.filter((name) => KEY_MATERIAL.test(name))).toEqual([]);
    expect(Object.keys(contracts()).filter((name) => KEY_MATERIAL.test(name))).toEqual([]);
  });

  it('relaxes no policy: they are files, and nothing online changes them', () => {
    const changing = operations.filter(
      ({ method, path }) => method !== 'GET' && /polic|profile|config/i.test(path),
    );
    expect(changing).toEqual([]);
    const services = Object.entries(contracts()).filter(([name]) => /policy.*Service$/i.test(name));
    expect(services.map(([, methods]) => Object.keys(methods))).toEqual([['Evaluate']]);
  });

  it('approves nothing that they asked for: each approval knows of SELF_APPROVAL', () => {
    const approvals = operations.filter(({ path }) => path.endsWith('/approve'));
    expect(approvals.map(({ operationId }) => operationId).sort()).toEqual([
      'approveCsr',
      'approveKeyDestruction',
    ]);
    for (const { errors } of approvals)
      expect(Object.keys(errors ?? {})).toContain('SELF_APPROVAL');
  });
});
