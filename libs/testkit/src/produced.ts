import type { Artifact } from './strict-readers.ts';

const artifacts: Artifact[] = [];

/**
 * Notes what the product made in a test, and gives it back: at the end of the test's file zlint and openssl read it
 * (scripts/jest-produced.ts). Worlds of tests call this wherever a certificate, a CRL or an OCSP response comes out.
 */
export function produced(kind: Artifact['kind'], der: Buffer): Buffer {
  artifacts.push({ kind, der });
  return der;
}

/** What the strict readers say of all that was noted so far. */
export async function complaintsAboutProduced(): Promise<string[]> {
  if (artifacts.length === 0) return [];
  const { strictReaders } = await import('./strict-readers.ts');
  return strictReaders(artifacts.splice(0));
}
