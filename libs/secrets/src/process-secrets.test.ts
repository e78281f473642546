import { secretReference } from '@gigvault/config/secret';
import { afterEach, expect, it } from '@jest/globals';
import { processSecrets } from './process-secrets.ts';
import { secretsConfig } from './secrets.config.ts';

const PLACE = secretReference.parse('env://GIGVAULT_TEST_SECRET');
const secrets = secretsConfig.parse({});

afterEach(() => {
  delete process.env['GIGVAULT_TEST_SECRET'];
});

it.each(['1234', 'test-api-key', '1234\n'])(
  'the sample %j is a secret in development alone — covers: X20',
  async (sample) => {
    process.env['GIGVAULT_TEST_SECRET'] = sample;
    const resolve = (environment: 'development' | 'production') =>
      processSecrets({ secrets, environment }).resolve(PLACE);
    expect(await resolve('development')).toBe(sample.trim());
    await expect(resolve('production')).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(
        /^The secret env:\/\/GIGVAULT_TEST_SECRET is one that everybody knows/,
      ),
    });
  },
);

it('another secret is given in production, too', async () => {
  process.env['GIGVAULT_TEST_SECRET'] = '12345';
  expect(await processSecrets({ secrets, environment: 'production' }).resolve(PLACE)).toBe('12345');
});
