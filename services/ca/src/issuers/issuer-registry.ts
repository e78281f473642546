import { GigvaultError } from '@gigvault/errors/gigvault-error';
import type { Clock } from '@gigvault/time/clock';
import { type ParsedCertificate, readCertificate } from '@gigvault/x509/certificate';
import { compileTemplate, type Template } from '@gigvault/x509/certificate-template';
import type { CertificateProfile } from '@gigvault/x509/profile';
import { signatureAlgorithm } from '@gigvault/x509/signature';
import type { IssuerPlace, IssuerRecord, IssuerStore } from '../ports/issuer-store.ts';

/** An issuing CA, ready to issue: parsed once, its templates compiled once a profile. */
export interface Issuer {
  readonly record: IssuerRecord;
  readonly certificate: ParsedCertificate;
  /** AlgorithmIdentifier of what this CA signs, DER. */
  readonly signatureAlgorithm: Buffer;
  /** The leaf's issuer first, the root last. */
  readonly chain: readonly Buffer[];
  templateFor(profile: CertificateProfile): Template;
}

/** The issuers in memory. They never change once they exist, so they are never forgotten; which of a line's is current does. */
export interface IssuerRegistry {
  /** Errors: NOT_FOUND. */
  get(issuerId: string): Promise<Issuer>;
  /** The issuer that issues for this CA: as the table had it a second ago at most. Errors: NOT_FOUND, UNAVAILABLE. */
  current(line: string): Promise<Issuer>;
  /** This process has moved an issuer: `current` asks the table again. */
  moved(): void;
  /** Every issuer of the database, by id. */
  list(): Promise<readonly Issuer[]>;
  /** The same with their places as they are now. */
  placed(): Promise<readonly PlacedIssuer[]>;
}

/** An issuer and where it stands now. */
export interface PlacedIssuer {
  readonly issuer: Issuer;
  readonly place: IssuerPlace;
}

/** Milliseconds for which it is believed which issuers are current: another process may have moved them meanwhile, and the one before signs on. */
const BELIEVED = 1_000;

/** @param onLoad is told of each issuer once. */
export function createIssuerRegistry(
  store: IssuerStore,
  clock: Pick<Clock, 'elapsed'>,
  onLoad: (issuer: Issuer) => void = () => undefined,
): IssuerRegistry {
  const loaded = new Map<string, Issuer>();
  let current: ReadonlyMap<string, string> = new Map();
  let readAt = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | undefined;

  async function read(): Promise<void> {
    // Before the question: what is moved meanwhile is asked for again.
    const at = clock.elapsed();
    const places = await store.places();
    current = new Map(
      places.filter(({ state }) => state === 'current').map((one) => [one.line, one.issuerId]),
    );
    readAt = at;
  }

  function reread(): Promise<void> {
    reading ??= read().finally(() => {
      reading = undefined;
    });
    return reading;
  }

  function load(record: IssuerRecord): Issuer {
    const known = loaded.get(record.issuerId);
    if (known) return known;
    const issuer = toIssuer(record);
    loaded.set(record.issuerId, issuer);
    onLoad(issuer);
    return issuer;
  }

  async function get(issuerId: string): Promise<Issuer> {
    const known = loaded.get(issuerId);
    if (known) return known;
    const record = await store.find(issuerId);
    if (record) return load(record);
    throw issuerNotFound(issuerId);
  }

  const list = async () => (await store.list()).map(load);

  return {
    get,
    list,
    async current(line) {
      if (clock.elapsed() - readAt >= BELIEVED || !current.has(line)) await reread();
      return get(current.get(line) ?? line);
    },
    moved() {
      readAt = Number.NEGATIVE_INFINITY;
    },
    async placed() {
      const places = new Map((await store.places()).map((place) => [place.issuerId, place]));
      return (await list()).flatMap((issuer) => {
        const place = places.get(issuer.record.issuerId);
        return place === undefined ? [] : [{ issuer, place }];
      });
    },
  };
}

/** Errors thrown for a CA or issuer that nobody has made. */
export function issuerNotFound(issuerId: string): GigvaultError {
  return new GigvaultError('NOT_FOUND', `Issuer '${issuerId}' does not exist.`, {
    details: { issuerId },
  });
}

/** Parses the issuer's certificate. Errors: what readCertificate throws. */
export function toIssuer(record: IssuerRecord): Issuer {
  const certificate = readCertificate(record.certificate);
  const { keyType } = certificate.publicKey;
  const templates = new Map<CertificateProfile, Template>();
  return {
    record,
    certificate,
    signatureAlgorithm: signatureAlgorithm(keyType),
    chain: [record.certificate, ...record.chain],
    templateFor(profile) {
      const compiled = templates.get(profile);
      if (compiled) return compiled;
      const template = compileTemplate(profile, { ...record, keyType });
      templates.set(profile, template);
      return template;
    },
  };
}
