import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { ICON, PAGE, START, STYLE, THEME } from './docs-page.ts';
import { problemReply } from './problem.ts';
import type { HttpReply, ProtocolRoute } from './route.ts';

/** A page of ours and nothing else: no other origin, no inline script, no frame around it. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HTML = 'text/html; charset=utf-8';
const SCRIPT = 'text/javascript; charset=utf-8';
const STYLES = 'text/css; charset=utf-8';

/** Of the npm package swagger-ui-dist, by their types. */
const PACKAGE_FILES: Readonly<Record<string, string>> = {
  'swagger-ui.css': STYLES,
  'swagger-ui-bundle.js': SCRIPT,
};

/** `GET /docs`: the API's document as a page. Everything that it loads comes from here. */
export function apiDocsRoutes(): ProtocolRoute[] {
  return [
    route('/docs', () => file(HTML, PAGE)),
    route('/docs/', () => file(HTML, PAGE)),
    route('/docs/start.js', () => file(SCRIPT, START)),
    route('/docs/theme.js', () => file(SCRIPT, THEME)),
    route('/docs/page.css', () => file(STYLES, STYLE)),
    route('/docs/icon.svg', () => file('image/svg+xml', ICON)),
    ...Object.entries(PACKAGE_FILES).map(([name, type]) =>
      route(`/docs/${name}`, () => file(type, packageFile(name))),
    ),
  ];
}

function route(path: string, answer: () => HttpReply): ProtocolRoute {
  let made: HttpReply | undefined;
  return {
    kind: 'protocol',
    listener: 'public',
    method: 'GET',
    path,
    bodyLimit: 1,
    errorReply: (error, request) => problemReply(error, path, request.traceId),
    async handle() {
      made ??= answer();
      return made;
    },
  };
}

function file(type: string, body: string | Buffer): HttpReply {
  return {
    status: 200,
    headers: {
      'content-type': type,
      'cache-control': 'public, max-age=3600',
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'referrer-policy': 'no-referrer',
      'x-frame-options': 'DENY',
    },
    body,
  };
}

function packageFile(name: string): Buffer {
  return readFileSync(createRequire(import.meta.url).resolve(`swagger-ui-dist/${name}`));
}
