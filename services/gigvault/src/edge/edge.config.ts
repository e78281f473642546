import {
  apiAccessConfig,
  clientCertificatesConfig,
  publicTlsConfig,
  sharedConfig,
} from '@gigvault/host/process-config';
import { secretsConfig } from '@gigvault/secrets/secrets.config';
import { z } from 'zod';

const port = z.int().min(0).max(65_535);
const address = z.string().regex(/^[^:]+:\d+$/);

/** What the edge proxy of split mode is told. */
export const edgeConfig = z.strictObject({
  ...sharedConfig,
  publicUrl: z.url(),
  host: z.string(),
  /** The access is for people's gRPC: REST's is asked by the services. */
  https: z.strictObject({
    port,
    ...apiAccessConfig,
    ...clientCertificatesConfig,
    ...publicTlsConfig,
  }),
  /** Where people's gRPC listens; nowhere when absent. */
  keyApi: z.strictObject({ host: z.string(), port }).optional(),
  http: z.strictObject({ port }),
  /** The edge's own identity. */
  tls: z.strictObject({ servicesCa: z.string(), certificate: z.string(), privateKey: z.string() }),
  secrets: secretsConfig,
  /** The public listener's certificate, unless `https.tls` names another. */
  publicCertificate: z.strictObject({ certificate: z.string(), privateKey: z.string() }),
  /** HTTPS listener of each service. */
  upstreams: z.record(z.string(), address),
  /** gRPC listener of each service. */
  addresses: z.record(z.string(), address),
});
