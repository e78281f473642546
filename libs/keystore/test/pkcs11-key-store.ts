import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { fromErrorRecord, GigvaultError } from '@gigvault/errors/gigvault-error';
import { type KeyStore, parseKeyHandle } from '../src/key-store.ts';
import type { DriverCall, DriverReply } from './pkcs11-messages.ts';

/** Which token, and how to get in. */
export interface Pkcs11Options {
  readonly library: string;
  readonly pin: string;
  readonly soPin: string;
  /** The driver process's environment: vendor libraries take their configuration from it. */
  readonly environment: Readonly<Record<string, string>>;
}

interface Waiter {
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

/**
 * Proves that the port's shape fits PKCS #11 v2.40, through a driver in a process of its own. It makes a fresh token, so it is for
 * tests only; the product's backend (pools, re-login, restart, circuit breaker) follows in its own issue.
 */
export function pkcs11KeyStore(
  options: Pkcs11Options,
): KeyStore & { readonly driver: ChildProcess; close(): Promise<void> } {
  const driver = fork(
    fileURLToPath(new URL('./pkcs11-driver.ts', import.meta.url)),
    [options.library, options.pin, options.soPin],
    { env: { ...options.environment }, execArgv: [], serialization: 'advanced' },
  );
  const waiters = new Map<number, Waiter>();
  let last = 0;

  driver.on('message', (message: DriverReply) => {
    const waiter = waiters.get(message.id);
    waiters.delete(message.id);
    if ('error' in message) waiter?.reject(fromErrorRecord(message.error));
    else waiter?.resolve(message.value);
  });
  const exited = new Promise<void>((resolve) => {
    driver.once('exit', () => {
      for (const waiter of waiters.values()) waiter.reject(gone());
      waiters.clear();
      resolve();
    });
  });

  function call(request: DriverCall): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (!driver.connected) {
        reject(gone());
        return;
      }
      last += 1;
      waiters.set(last, { resolve, reject });
      driver.send({ id: last, ...request });
    });
  }

  return {
    backend: 'pkcs11',
    generate: async (keyType) =>
      parseKeyHandle((await call({ method: 'generate', keyType })) as string),
    publicKey: async (handle) =>
      octets(await call({ method: 'publicKey', handle: parseKeyHandle(handle) })),
    sign: async (handle, data, { format }) =>
      octets(await call({ method: 'sign', handle: parseKeyHandle(handle), data, format })),
    // The product's backend will send the parts on (C_SignUpdate).
    async startSignature(handle, { format }) {
      const parts: Buffer[] = [];
      const sign = async () =>
        octets(
          await call({
            method: 'sign',
            handle: parseKeyHandle(handle),
            data: Buffer.concat(parts),
            format,
          }),
        );
      return { update: (part) => void parts.push(Buffer.from(part)), sign };
    },
    async remove(handle) {
      await call({ method: 'remove', handle: parseKeyHandle(handle) });
    },
    async check() {
      await call({ method: 'check' });
    },
    driver,
    async close() {
      if (driver.connected) driver.disconnect();
      await exited;
    },
  };
}

function octets(value: unknown): Buffer {
  return Buffer.from(value as Uint8Array);
}

function gone(): GigvaultError {
  return new GigvaultError('KEY_UNAVAILABLE', 'The PKCS #11 driver is not running.');
}
