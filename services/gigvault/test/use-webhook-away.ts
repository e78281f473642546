import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from '@jest/globals';

/** Flags with a configuration in which a webhook is away: notifications wait for it. */
export function useWebhookAway(): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'gv-away-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const [config, secret] = [join(folder, 'gigvault.yaml'), join(folder, 'secret')];
  writeFileSync(secret, randomBytes(32).toString('base64'), { mode: 0o600 });
  const webhook = `{ url: 'http://localhost:9', secret: 'file://${secret}' }`;
  writeFileSync(config, `notify: { webhooks: { away: ${webhook} } }\n`);
  return ['--config', config];
}
