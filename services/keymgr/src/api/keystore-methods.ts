import type { Permission, Principal } from '@gigvault/access/permissions';
import { installedVersion } from '@gigvault/host/home';
import { validate } from '@gigvault/http/validation';
import type { KeystoreService } from '@gigvault/proto/keychain/v1/keystore';
import { z } from 'zod';
import { inspectBackend, inspectBackends } from '../backends/inspect-backends.ts';
import { generateUserKey, type UserKeyRequest } from '../creation/generate-key.ts';
import { scheduleDestruction } from '../destruction/schedule-destruction.ts';
import { decryptForPerson } from '../encryption/decrypt-for-person.ts';
import { encryptForPerson } from '../encryption/encrypt-for-person.ts';
import { earlierVersions, listKeys, readKey } from '../keys/find-keys.ts';
import type { PersonDeps } from '../keys/require-own-key.ts';
import { rotateKey } from '../life/rotate-key.ts';
import { signForPerson } from '../signing/sign-for-person.ts';
import { verifyForPerson } from '../signing/verify-for-person.ts';
import { generateBody, listQuery } from './http.ts';
import { format } from './http-use.ts';
import { version } from './key-json.ts';
import {
  backendMessage,
  keyMessage,
  keyWithVersionsMessage,
  presentFields,
} from './keystore-messages.ts';

type RequestOf<M extends keyof KeystoreService> = Parameters<KeystoreService[M]>[0];
type ResponseOf<M extends keyof KeystoreService> = Awaited<ReturnType<KeystoreService[M]>>;

/** Methods that need no credential. */
type Anonymous = 'health' | 'version';

interface AnonymousMethod<M extends keyof KeystoreService> {
  readonly permission: 'anonymous';
  run(deps: PersonDeps, request: RequestOf<M>): Promise<ResponseOf<M>>;
}

interface Method<M extends keyof KeystoreService> {
  readonly permission: Permission;
  run(deps: PersonDeps, request: RequestOf<M>, principal: Principal): Promise<ResponseOf<M>>;
}

/** Every method of keychain.v1.KeystoreService: the REST operation's permission, and its flow. */
export type KeystoreMethods = {
  readonly [M in keyof KeystoreService]: M extends Anonymous ? AnonymousMethod<M> : Method<M>;
};

const signatureFields = z.object({ format, version: version.optional() });

/** See KeystoreMethods. What a field may be is said once, by the schemas of REST. */
export const KEYSTORE_METHODS: KeystoreMethods = {
  health: {
    permission: 'anonymous',
    async run({ backends }) {
      const well = await backends.forNewKeys.check().then(
        () => true,
        // Why is for operators: ListBackends says it.
        () => false,
      );
      return { status: well ? 'ok' : 'unavailable' };
    },
  },
  version: {
    permission: 'anonymous',
    run: async () => ({ name: 'gigvault', version: installedVersion() }),
  },
  listBackends: {
    permission: 'keys:read',
    run: async (deps) => ({ items: (await inspectBackends(deps)).map(backendMessage) }),
  },
  getBackendInfo: {
    permission: 'keys:read',
    run: async (deps, { name }) => backendMessage(await inspectBackend(deps, name)),
  },
  generateKey: {
    permission: 'keys:generate',
    async run(deps, request, principal) {
      const { keyType } = request;
      const asked = validate(generateBody, { ...presentFields(request), keyType }, 'body');
      return keyMessage(
        await generateUserKey(deps, asked as UserKeyRequest, principal),
        deps.backends,
      );
    },
  },
  getKey: {
    permission: 'keys:read',
    async run(deps, { keyId }, principal) {
      const key = await readKey(deps, keyId, principal);
      return keyWithVersionsMessage(key, await earlierVersions(deps, key), deps.backends);
    },
  },
  listKeys: {
    permission: 'keys:read',
    async run(deps, request, { actor, tenantId }) {
      const asked = validate(listQuery, presentFields(request), 'body') as z.infer<
        typeof listQuery
      >;
      const { items, nextCursor } = await listKeys(deps, { ...asked, actor, tenantId });
      return { items: items.map((key) => keyMessage(key, deps.backends)), nextCursor };
    },
  },
  deleteKey: {
    permission: 'keys:destroy',
    run: async (deps, { keyId }, principal) =>
      keyMessage(await scheduleDestruction(deps, keyId, principal), deps.backends),
  },
  rotateKey: {
    permission: 'keys:rotate',
    run: async (deps, request, principal) =>
      keyMessage(
        await rotateKey(deps, request.keyId, request.version || undefined, principal),
        deps.backends,
      ),
  },
  sign: {
    permission: 'keys:sign',
    async run(deps, request, principal) {
      const { keyId, data } = request;
      const asked = { data, ...signatureOptions(request) };
      return { keyId, ...(await signForPerson(deps, keyId, asked, principal)) };
    },
  },
  verify: {
    permission: 'keys:read',
    async run(deps, request, principal) {
      const { keyId, data, signature } = request;
      const asked = { data, signature, ...signatureOptions(request) };
      const verdict = await verifyForPerson(deps, keyId, asked, principal);
      return { ...verdict, version: verdict.version ?? 0 };
    },
  },
  encrypt: {
    permission: 'keys:encrypt',
    run: async (deps, { keyId, ...request }, principal) => ({
      keyId,
      ...(await encryptForPerson(deps, keyId, request, principal)),
    }),
  },
  decrypt: {
    permission: 'keys:decrypt',
    run: async (deps, { keyId, ...request }, principal) => ({
      keyId,
      ...(await decryptForPerson(deps, keyId, request, principal)),
    }),
  },
};

/** Errors: INVALID_ARGUMENT. */
function signatureOptions(request: {
  readonly format: string;
  readonly hash: string;
  readonly version?: number;
}) {
  const { hash, ...fields } = presentFields(request);
  const checked = validate(signatureFields, fields, 'body') as z.infer<typeof signatureFields>;
  return { ...checked, hash };
}
