import type { KMSClient, KMSClientConfig } from '@aws-sdk/client-kms';
import { type AwsConnection, awsClientOptions } from '@gigvault/secrets/aws-client';
import type { Clock } from '@gigvault/time/clock';
import { within } from '@gigvault/time/within';
import { kmsFailure } from './kms-failure.ts';

/** The module of AWS's client. */
type Kms = typeof import('@aws-sdk/client-kms');

/** A request to KMS: what it sends, with which client. */
type Request<T> = (kms: Kms, client: KMSClient, signal: AbortSignal) => Promise<T>;

/** Asks KMS. Its client is loaded when it is first needed. */
export interface KmsClient {
  /**
   * Up to three attempts within the deadline. Errors: KEY_NOT_FOUND, KEY_UNAVAILABLE; what `expected` lists is thrown as KMS said it.
   *
   * @param operation as `Sign`
   */
  ask<T>(operation: string, request: Request<T>): Promise<T>;
  /** One attempt: for what must not be done twice. Errors: as `ask`. */
  askOnce<T>(operation: string, request: Request<T>): Promise<T>;
  /** As `eu-central-1`. */
  region(): Promise<string>;
  close(): void;
}

/** How KMS is reached, and how patient to be. */
export interface KmsClientOptions extends AwsConnection {
  /** Milliseconds for a call, all its attempts included. */
  readonly deadline: number;
  readonly clock: Clock;
}

/** See KmsClient. */
export function kmsClient(options: KmsClientOptions): KmsClient {
  let opened: Promise<{ kms: Kms; patient: KMSClient; once: KMSClient }> | undefined;

  function open() {
    opened ??= import('@aws-sdk/client-kms').then((kms) => {
      const config: KMSClientConfig = awsClientOptions(options, options.deadline);
      const patient = new kms.KMSClient(config);
      return { kms, patient, once: new kms.KMSClient({ ...config, maxAttempts: 1 }) };
    });
    return opened;
  }

  async function run<T>(
    operation: string,
    which: 'patient' | 'once',
    request: Request<T>,
  ): Promise<T> {
    const { kms, [which]: client } = await open();
    const asking = new AbortController();
    const late = `AWS KMS did not answer ${operation} within ${options.deadline} ms.`;
    const answer = request(kms, client, asking.signal);
    try {
      return await within(options.clock, options.deadline, answer, late);
    } catch (error) {
      throw kmsFailure(operation, error);
    } finally {
      asking.abort();
    }
  }

  return {
    ask: (operation, request) => run(operation, 'patient', request),
    askOnce: (operation, request) => run(operation, 'once', request),
    async region() {
      const { patient } = await open();
      return patient.config.region().catch((error: unknown) => {
        throw kmsFailure('Sign', error);
      });
    },
    close() {
      void opened?.then(({ patient, once }) => {
        patient.destroy();
        once.destroy();
      });
    },
  };
}
