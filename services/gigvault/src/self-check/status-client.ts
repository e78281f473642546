import { get, request } from 'node:http';

/** Fetches over plain HTTP, as a relying party does. Errors: whatever the connection says, or an HTTP status other than 200. */
export function fetchStatus(
  url: string,
  body?: { readonly type: string; readonly content: Buffer },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const onResponse = (response: import('node:http').IncomingMessage) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(parts));
        else reject(new Error(`${url} answered ${response.statusCode}`));
      });
    };
    const options = { timeout: 5_000, agent: false };
    const call = body
      ? request(
          url,
          {
            ...options,
            method: 'POST',
            headers: { 'content-type': body.type, 'content-length': body.content.length },
          },
          onResponse,
        )
      : get(url, options, onResponse);
    call.on('timeout', () => call.destroy(new Error(`${url} did not answer in time`)));
    call.on('error', reject);
    call.end(body?.content);
  });
}
