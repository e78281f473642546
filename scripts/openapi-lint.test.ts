import { expect, it } from '@jest/globals';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { openApiDocument } from '../libs/http/src/openapi.ts';
import { restOperations } from './reference/rest-page.ts';

it('the document of the REST API has nothing that Redocly’s strict rules find', async () => {
  const document = openApiDocument(Object.values(restOperations()).flat(), '1.2.3');
  const config = await createConfig({ extends: ['recommended-strict'] });
  const source = JSON.stringify(document);
  const problems = await lintFromString({ source, absoluteRef: 'openapi.json', config });
  expect(
    problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer]),
  ).toEqual([]);
}, 60_000);
