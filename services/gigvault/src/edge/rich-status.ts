import { publicErrorCode } from '@gigvault/errors/error-table';
import type { GigvaultError } from '@gigvault/errors/gigvault-error';
import { Metadata, type ServiceError } from '@grpc/grpc-js';
import protobuf from 'protobufjs';

/** Trailer of a google.rpc.Status (grpc.io/docs/guides/error). */
const TRAILER = 'grpc-status-details-bin';
const DOMAIN = 'gigvault.dev';
const NANOSECONDS = 1e9;

/** Of google/rpc/status.proto and google/rpc/error_details.proto, what is used here. */
const GOOGLE = protobuf.Root.fromJSON({
  nested: {
    Any: { fields: { typeUrl: field('string', 1), value: field('bytes', 2) } },
    Status: {
      fields: {
        code: field('int32', 1),
        message: field('string', 2),
        details: { rule: 'repeated', ...field('Any', 3) },
      },
    },
    ErrorInfo: {
      fields: {
        reason: field('string', 1),
        domain: field('string', 2),
        metadata: { keyType: 'string', ...field('string', 3) },
      },
    },
    FieldViolation: { fields: { field: field('string', 1), description: field('string', 2) } },
    BadRequest: {
      fields: { fieldViolations: { rule: 'repeated', ...field('FieldViolation', 1) } },
    },
    Duration: { fields: { seconds: field('int64', 1), nanos: field('int32', 2) } },
    RetryInfo: { fields: { retryDelay: field('Duration', 1) } },
  },
} as protobuf.INamespace);

/**
 * An error as clients of any language read it: the gRPC status, and a google.rpc.Status with ErrorInfo (reason: the code of the REST API), BadRequest for
 * what is wrong with fields, and RetryInfo where a retry makes sense.
 */
export function toRichError(
  error: GigvaultError,
): Pick<ServiceError, 'code' | 'details' | 'metadata'> {
  const { row, message } = error;
  const metadata = new Metadata();
  const status = { code: row.grpc, message, details: detailsOf(error) };
  metadata.set(TRAILER, encode('Status', status));
  return { code: row.grpc, details: message, metadata };
}

function detailsOf({ code, details, problems, retryAfter }: GigvaultError): object[] {
  const facts = Object.entries(details).map(([name, value]) => [name, String(value)]);
  const metadata = { ...Object.fromEntries(facts), docs: publicErrorCode(code) };
  const found = [any('ErrorInfo', { reason: code, domain: DOMAIN, metadata })];
  if (problems.length > 0) {
    const fieldViolations = problems.map(({ pointer, message }) => ({
      field: protoName(pointer.slice(1)),
      description: message,
    }));
    found.push(any('BadRequest', { fieldViolations }));
  }
  if (retryAfter !== undefined) {
    const seconds = Math.floor(retryAfter);
    const nanos = Math.round((retryAfter - seconds) * NANOSECONDS);
    found.push(any('RetryInfo', { retryDelay: { seconds, nanos } }));
  }
  return found;
}

/** `keySize` → `key_size`: REST's name of a field as keystore.proto has it. */
function protoName(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

function any(type: string, value: object): object {
  return { typeUrl: `type.googleapis.com/google.rpc.${type}`, value: encode(type, value) };
}

function encode(type: string, value: object): Buffer {
  return Buffer.from(GOOGLE.lookupType(type).encode(value).finish());
}

function field(type: string, id: number) {
  return { type, id };
}
