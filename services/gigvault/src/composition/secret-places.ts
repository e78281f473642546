import { type SecretReference, secretReference } from '@gigvault/config/secret';
import { parsePkcs11Uri } from '@gigvault/keystore/pkcs11/pkcs11-uri';

/** The places of secrets that a configuration names, those of the PINs in PKCS #11 URIs among them. */
export function secretPlaces(config: unknown): SecretReference[] {
  if (typeof config === 'string') return placeIn(config);
  if (typeof config !== 'object' || config === null) return [];
  return Object.values(config).flatMap(secretPlaces);
}

function placeIn(text: string): SecretReference[] {
  // Percent-encoded there (RFC 7512 §2.3): no search in the text would find it.
  if (text.startsWith('pkcs11:')) return [parsePkcs11Uri(text).pinSource];
  const place = secretReference.safeParse(text);
  return place.success ? [place.data] : [];
}
