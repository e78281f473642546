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
