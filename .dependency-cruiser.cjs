/** The layers of docs/adr/0003: main → module → {api, adapters} → flow → ports → libs. */
const SHELL = [
  '^services/[^/]+/src/(api|adapters)/',
  '^services/[^/]+/src/[^/]+\\.ts$',
  '\\.(test|contract)\\.ts$',
];
const PURE_LIBS = '^libs/(x509|egress|errors|time|merkle|canonical-json|ids)/';
/** Libs that flows may use: pure ones, permissions as types, and the durable step. */
const FLOW_LIBS = [
  '^libs/(x509|egress|errors|time|merkle|canonical-json|ids|access|keystore)/',
  '^libs/telemetry/src/(durable-step|correlation|log|metrics)\\.ts$',
  '^proto/gen/',
];
const FLOWS = '^services/(?!gigvault|cli|rootca)[^/]+/src/';

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'service-not-to-service',
      severity: 'error',
      from: { path: '^services/([^/]+)/', pathNot: '^services/gigvault/' },
      to: { path: '^services/', pathNot: '^services/$1/' },
    },
    {
      name: 'composition-root-sees-modules-and-offline-flows-only',
      severity: 'error',
      from: { path: '^services/gigvault/src/' },
      to: {
        path: '^services/',
        pathNot: [
          '^services/gigvault/',
          '^services/[^/]+/src/[^/]+\\.(module|config)\\.ts$',
          // Bootstrap runs these before anything listens; the CLI's context file is the CLI's.
          '^services/keymgr/src/(open-keymgr|ca-keys/create-ca-key|ca-keys/request-ca-certificate)\\.ts$',
          '^services/rootca/src/',
          '^services/cli/src/context/',
        ],
      },
    },
    {
      name: 'lib-not-to-service',
      severity: 'error',
      from: { path: '^libs/', pathNot: '^libs/testkit/' },
      to: { path: '^services/' },
    },
    {
      name: 'pure-libs-stay-pure',
      severity: 'error',
      // Where the machine is asked for the time, and name servers for addresses.
      from: {
        path: PURE_LIBS,
        pathNot:
          '\\.test\\.ts$|/test/|^libs/time/src/clock\\.ts$|^libs/egress/src/dns-addresses\\.ts$',
      },
      to: {
        pathNot: [PURE_LIBS, '^(node:)?(assert|buffer|crypto|net|url)$', '^proto/gen/'],
      },
    },
    {
      name: 'flow-is-pure',
      severity: 'error',
      from: { path: FLOWS, pathNot: SHELL },
      to: {
        pathNot: [
          FLOWS,
          ...FLOW_LIBS,
          // A long list goes in parts: streams, and a turn of the event loop for others between two parts.
          '^(node:)?(assert|crypto|url|net|buffer|stream|timers/promises)$',
          '^libs/(rpc|database)/',
          'node_modules/(zod|lru-cache|yaml)/',
        ],
      },
    },
    {
      name: 'flow-sees-types-of-rpc-and-database-only',
      severity: 'error',
      from: { path: FLOWS, pathNot: SHELL },
      // service-name.ts and message-size.ts are tables of constants.
      to: {
        path: '^libs/(rpc|database)/',
        pathNot: '^libs/rpc/src/(service-name|message-size)\\.ts$',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'flow-not-to-shell',
      severity: 'error',
      from: { path: FLOWS, pathNot: SHELL },
      to: { path: '^services/[^/]+/src/(api|adapters)/', dependencyTypesNot: ['type-only'] },
    },
    {
      name: 'api-not-to-adapters',
      severity: 'error',
      from: { path: '^services/[^/]+/src/api/', pathNot: '\\.test\\.ts$' },
      to: { path: '^services/[^/]+/src/adapters/' },
    },
    {
      name: 'adapters-not-to-api',
      severity: 'error',
      from: { path: '^services/[^/]+/src/adapters/', pathNot: '\\.test\\.ts$' },
      to: { path: '^services/[^/]+/src/api/' },
    },
    {
      name: 'keystore-only-behind-keymgr-and-rootca',
      severity: 'error',
      from: { pathNot: '^(services/(keymgr|rootca)/|libs/keystore/)' },
      to: { path: '^libs/keystore/|node_modules/(pkcs11js|graphene-pk11)/' },
    },
    {
      name: 'keymgr-keys-come-first',
      severity: 'error',
      from: { path: '^services/keymgr/src/keys/', pathNot: '\\.test\\.ts$' },
      to: {
        path: '^services/keymgr/src/',
        pathNot: '^services/keymgr/src/keys/',
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'rootca-commands-come-last',
      severity: 'error',
      from: {
        path: '^services/rootca/src/(adapters|ceremony|custody|plan|ports|room|sitting|text)/',
        pathNot: '\\.test\\.ts$',
      },
      to: { path: '^services/rootca/src/commands/' },
    },
    {
      name: 'rootca-is-offline',
      severity: 'error',
      from: { path: '^services/rootca/src/' },
      to: { path: '^(node:)?(http|https|http2|net|tls|dgram|dns|inspector)(/|$)' },
    },
    { name: 'not-to-unresolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'types', 'node', 'default'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.json', '.d.ts'],
    },
  },
};
