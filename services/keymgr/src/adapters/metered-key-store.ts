import type { KeyStore } from '@gigvault/keystore/key-store';
import type { Metrics } from '@gigvault/telemetry/metrics';

/** The same backend, counted and timed. */
export function meteredKeyStore(store: KeyStore, metrics: Metrics): KeyStore {
  const { backend } = store;
  const generated = metrics.counter('key_generate_total', 'Key pairs generated', [
    'backend',
    'key_type',
  ]);
  const generation = metrics.histogram(
    'key_generate_duration_seconds',
    'Time to generate one key pair',
    ['backend', 'key_type'],
  );
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
  return {
    backend,
    async generate(keyType, options) {
      const labels = { backend, key_type: keyType };
      const stop = generation.startTimer(labels);
      const handle = await store.generate(keyType, options);
      stop();
      generated.inc(labels);
      return handle;
    },
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
    remove: (handle) => store.remove(handle),
    facts: () => store.facts(),
    async check() {
      available.set({ backend }, 0);
      await store.check();
      available.set({ backend }, 1);
    },
  };
}
