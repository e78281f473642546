import { type OpenApiReplies, openApiReplies } from '@gigvault/http/openapi';
import type { Clock } from '@gigvault/time/clock';

type Document = Record<string, unknown> & { paths?: Record<string, Record<string, unknown>> };

/** One OpenAPI document of the services' parts: the first part's frame, every part's paths in order. */
export function mergeOpenApi(parts: readonly Document[]): Document {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const part of parts) {
    for (const [path, methods] of Object.entries(part.paths ?? {}))
      paths[path] = { ...paths[path], ...methods };
  }
  return {
    ...parts[0],
    paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => a.localeCompare(b))),
  };
}

/** How long a merged document is good: a service that was updated meanwhile shows up after it. */
const GOOD_FOR = 60_000;
/** How long a failure is good. */
const FAILED_FOR = 1_000;

/**
 * The merged document, ready to be sent. The services are asked once for everybody who waits, and again after a minute; while
 * one of them cannot be reached, the document of before is served, or when there is none, the failure for a second.
 */
export function rememberOpenApi(
  fetchParts: () => Promise<readonly Document[]>,
  clock: Clock,
): () => Promise<OpenApiReplies> {
  let known: OpenApiReplies | undefined;
  let answer: Promise<OpenApiReplies> | undefined;
  let until = 0;

  async function ask(): Promise<OpenApiReplies> {
    let goodFor = FAILED_FOR;
    try {
      known = openApiReplies(mergeOpenApi(await fetchParts()));
      goodFor = GOOD_FOR;
    } catch (error) {
      if (!known) throw error;
    } finally {
      until = clock.now() + goodFor;
    }
    return known;
  }

  return () => {
    if (answer && clock.now() < until) return answer;
    until = Number.POSITIVE_INFINITY;
    answer = ask();
    return answer;
  };
}
