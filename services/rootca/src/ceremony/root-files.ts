import type { Hierarchy } from './check-hierarchy.ts';

/** The files of a root. All but the key are public. */
export const ROOT_FILES = {
  plan: 'plan.yaml',
  certificate: 'root.crt',
  key: 'root.key',
  /** Instead of the key: the token that it is in. */
  token: 'token.yaml',
  crl: 'root.crl',
  transcript: 'transcript.json',
  /** Of a key ceremony: who holds the shares that open the key. */
  custody: 'custody.json',
  /** Of a key ceremony: for people to print and sign. */
  record: 'record.txt',
} as const;

/** What a root has signed, and where each part lies in a root's directory. */
export const HIERARCHY_FILES: Readonly<Record<keyof Hierarchy, string>> = {
  root: ROOT_FILES.certificate,
  issuing: 'issuing.crt',
  services: 'services.crt',
  rootCrl: ROOT_FILES.crl,
};

/** What the CAs ask for, as the online machine writes it beside the plan; `issuing.csr` last. */
export const REQUEST_FILES = { services: 'services.csr', issuing: 'issuing.csr' } as const;

/** How a transcript tells of the request of a CA that was signed; what was read is PKCS #10, DER. */
export function requestStep(kind: keyof typeof REQUEST_FILES): string {
  return `read the request of the ${kind} CA`;
}
