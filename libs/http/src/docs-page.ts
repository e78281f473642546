/** The page itself. */
export const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>GigVault API</title>
<link rel="icon" type="image/svg+xml" href="/docs/icon.svg">
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="stylesheet" href="/docs/page.css">
<script src="/docs/theme.js"></script>
</head>
<body>
<header>
<a class="brand" href="/docs"><img src="/docs/icon.svg" alt="" width="28" height="28">GigVault <span>API</span></a>
<nav aria-label="Documents">
<a href="/openapi.json">openapi.json</a>
<a href="/openapi.yaml">openapi.yaml</a>
<a href="/acme/directory">ACME directory</a>
<a href="/health">health</a>
</nav>
</header>
<main id="docs"></main>
<noscript>The API is described by <a href="/openapi.json">/openapi.json</a>; this page needs JavaScript.</noscript>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

/** Before anything is drawn: light or dark, as the reader's system is. */
export const THEME = `const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', follow);
follow();
`;

/** Shows the document. */
export const START = `SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#docs',
  deepLinking: true,
  displayOperationId: true,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: -1,
  defaultModelExpandDepth: 4,
  // Would send the document's address to a validator on the Internet.
  validatorUrl: null,
});
`;

/** A vault's door. */
export const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
<rect width="32" height="32" rx="7" fill="#12443f"/>
<circle cx="16" cy="16" r="9" fill="none" stroke="#5eead4" stroke-width="2.5"/>
<path d="M16 4v5M16 23v5M4 16h5M23 16h5" stroke="#5eead4" stroke-width="2.5" stroke-linecap="round"/>
<circle cx="16" cy="16" r="3" fill="#f8fafc"/>
</svg>
`;

/** What is ours over Swagger UI's own. */
export const STYLE = `body { margin: 0; background: #fafbfb; }
html.dark-mode body { background: #14181a; }
html.dark-mode .swagger-ui { background: none; }
header {
  display: flex; flex-wrap: wrap; gap: .5rem 2rem; align-items: center; justify-content: space-between;
  padding: .75rem max(1.5rem, calc(50vw - 570px)); background: #0b2a27;
  font: 15px system-ui, sans-serif;
}
header a { color: #cfe9e5; text-decoration: none; }
header nav { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; }
header nav a:hover, header a:focus-visible { color: #fff; text-decoration: underline; }
.brand { display: flex; gap: .6rem; align-items: center; font-size: 19px; font-weight: 600; }
.brand span { color: #5eead4; font-weight: 400; }
noscript { display: block; margin: 2rem auto; max-width: 40rem; font: 16px system-ui, sans-serif; }
.swagger-ui, .swagger-ui .info .title, .swagger-ui .opblock-tag, .swagger-ui .info p, .swagger-ui .info li,
.swagger-ui .opblock .opblock-summary-description, .swagger-ui table, .swagger-ui .btn, .swagger-ui label {
  font-family: system-ui, sans-serif;
}
.swagger-ui .wrapper { max-width: 1180px; }
.swagger-ui .info { margin: 2rem 0 1rem; max-width: 52rem; }
.swagger-ui .info .title { font-size: 28px; }
.swagger-ui .info li { margin: .35rem 0; line-height: 1.5; }
.swagger-ui .info .main > a, .swagger-ui .info__license, .swagger-ui .info .main + div + .info__license { display: none; }
.swagger-ui .markdown code, .swagger-ui .renderedMarkdown code { color: #0f766e; font-weight: 500; background: #0f766e14; }
html.dark-mode .swagger-ui .markdown code, html.dark-mode .swagger-ui .renderedMarkdown code { color: #5eead4; background: #5eead41a; }
.swagger-ui .scheme-container { padding: 1rem 0; box-shadow: none; background: none; border-block: 1px solid #8883; }
.swagger-ui .opblock { box-shadow: none; border-radius: 6px; }
.swagger-ui .opblock-tag { font-size: 20px; }
.swagger-ui .filter .operation-filter-input { margin: 1rem 0; max-width: 24rem; }
.swagger-ui .opblock .opblock-summary-operation-id { font-weight: 400; opacity: .75; }
`;
