import {
  asGigvaultError,
  type ErrorRecord,
  fromErrorRecord,
  GigvaultError,
  toErrorRecord,
} from '@gigvault/errors/gigvault-error';
import { Metadata, type ServiceError, status } from '@grpc/grpc-js';

/** Trailer that carries our error as JSON beside the gRPC status. */
const TRAILER = 'gigvault-error-bin';

/** The gRPC status of an error; what is not ours leaves as INTERNAL without detail. */
export function toServiceError(error: unknown): Partial<ServiceError> {
  const ours = asGigvaultError(error);
  const metadata = new Metadata();
  metadata.set(TRAILER, Buffer.from(JSON.stringify(toErrorRecord(ours))));
  return { code: ours.row.grpc, details: ours.message, metadata };
}

/** The error that a callee tells of as JSON. Never throws: what cannot be read is INTERNAL, whatever a broken peer sends. */
export function readError(json: string, callee: string): GigvaultError {
  try {
    const record: Partial<ErrorRecord> = JSON.parse(json);
    if (typeof record.code === 'string' && typeof record.message === 'string')
      return fromErrorRecord(record as ErrorRecord);
  } catch {
    // Said below.
  }
  return new GigvaultError('INTERNAL', `${callee} failed, and its error cannot be read.`);
}

/** The error behind a failed call: the remote's own, or what the transport's status means. */
export function fromServiceError(error: ServiceError, callee: string): GigvaultError {
  const [record] = error.metadata?.get(TRAILER) ?? [];
  if (record !== undefined) {
    return readError(record.toString(), callee);
  }
  if (error.code === status.DEADLINE_EXCEEDED) {
    return new GigvaultError('DEADLINE_EXCEEDED', `${callee} did not answer in time.`, {
      cause: error,
    });
  }
  if (error.code === status.UNAVAILABLE || error.code === status.CANCELLED) {
    return new GigvaultError('UNAVAILABLE', `${callee} cannot be reached.`, { cause: error });
  }
  if (error.code === status.RESOURCE_EXHAUSTED) {
    return new GigvaultError('PAYLOAD_TOO_LARGE', `The message is too large for ${callee}.`, {
      cause: error,
    });
  }
  return new GigvaultError('INTERNAL', `The call to ${callee} failed.`, { cause: error });
}
