import type {
  KeyHandle,
  KeyStore,
  PrivateDecryption,
  SecretKeys,
} from '@gigvault/keystore/key-store';
import type { Metrics } from '@gigvault/telemetry/metrics';
import type { Clock } from '@gigvault/time/clock';
import { sharedLook } from '@gigvault/time/shared-look';

/** Milliseconds for which a check is remembered: anybody may cause one, and a token or a KMS is slow, or asks for money. */
const CHECKED = 1_000;

/** The same backend, counted and timed; its checks are shared by those who ask at about the same time. */
export function meteredKeyStore(
  store: KeyStore,
  metrics: Metrics,
  clock: Pick<Clock, 'elapsed'>,
): KeyStore {
  const { backend, type } = store;
  const signed = metrics.counter('sign_total', 'Signatures made by the backend', ['backend']);
  const duration = metrics.histogram(
    'sign_duration_seconds',
    'Time of one signature in the backend',
    ['backend'],
  );
  const available = metrics.gauge(
    'backends_available',
    '1 when the backend answered its last check',
    ['backend'],
  );
  const meter = meterOf(backend, metrics);

  async function check(): Promise<void> {
    try {
      await store.check();
      available.set({ backend }, 1);
    } catch (error) {
      available.set({ backend }, 0);
      throw error;
    }
  }

  return {
    backend,
    type,
    generate: (keyType, options) =>
      meter.generation(keyType, () => store.generate(keyType, options)),
    publicKey: (handle) => store.publicKey(handle),
    async sign(handle, data, options) {
      const stop = duration.startTimer({ backend });
      const signature = await store.sign(handle, data, options);
      stop();
      signed.inc({ backend });
      return signature;
    },
    async startSignature(handle, options) {
      const signing = await store.startSignature(handle, options);
      return {
        update: (part) => signing.update(part),
        async sign() {
          const stop = duration.startTimer({ backend });
          const signature = await signing.sign();
          stop();
          signed.inc({ backend });
          return signature;
        },
      };
    },
    ...(store.secretKeys && { secretKeys: meteredSecretKeys(store.secretKeys, meter) }),
    ...(store.privateDecryption && {
      privateDecryption: meteredDecryption(store.privateDecryption, meter),
    }),
    ...(store.masterKeyRotation && { masterKeyRotation: store.masterKeyRotation }),
    ...(store.namedKeys && { namedKeys: store.namedKeys }),
    ...(store.volatileKeys && { volatileKeys: store.volatileKeys }),
    remove: (handle) => store.remove(handle),
    missing: (handles) => store.missing(handles),
    facts: () => store.facts(),
    check: sharedLook(check, CHECKED, clock),
  };
}

/** Counts and times what succeeds. */
interface Meter {
  generation(keyType: string, generate: () => Promise<KeyHandle>): Promise<KeyHandle>;
  use(operation: 'encrypt' | 'decrypt' | 'mac', run: () => Promise<Buffer>): Promise<Buffer>;
}

function meteredSecretKeys(keys: SecretKeys, meter: Meter): SecretKeys {
  return {
    generate: (keyType, options) =>
      meter.generation(keyType, () => keys.generate(keyType, options)),
    encrypt: (handle, plaintext, data) =>
      meter.use('encrypt', () => keys.encrypt(handle, plaintext, data)),
    decrypt: (handle, sealed, data) =>
      meter.use('decrypt', () => keys.decrypt(handle, sealed, data)),
    mac: (handle, data) => meter.use('mac', () => keys.mac(handle, data)),
  };
}

function meteredDecryption(decryption: PrivateDecryption, meter: Meter): PrivateDecryption {
  return {
    generate: (keyType, options) =>
      meter.generation(keyType, () => decryption.generate(keyType, options)),
    decrypt: (handle, ciphertext, label) =>
      meter.use('decrypt', () => decryption.decrypt(handle, ciphertext, label)),
  };
}

function meterOf(backend: string, metrics: Metrics): Meter {
  const generated = metrics.counter('key_generate_total', 'Key pairs generated', [
    'backend',
    'key_type',
  ]);
  const generation = metrics.histogram(
    'key_generate_duration_seconds',
    'Time to generate one key pair',
    ['backend', 'key_type'],
  );
  const used = metrics.counter(
    'key_use_total',
    'Encryptions, decryptions and MACs in the backend',
    ['backend', 'operation'],
  );
  const use = metrics.histogram(
    'key_use_duration_seconds',
    'Time of one encryption, decryption or MAC in the backend',
    ['backend', 'operation'],
  );
  return {
    async generation(keyType, generate) {
      const labels = { backend, key_type: keyType };
      const stop = generation.startTimer(labels);
      const handle = await generate();
      stop();
      generated.inc(labels);
      return handle;
    },
    async use(operation, run) {
      const labels = { backend, operation };
      const stop = use.startTimer(labels);
      const octets = await run();
      stop();
      used.inc(labels);
      return octets;
    },
  };
}
