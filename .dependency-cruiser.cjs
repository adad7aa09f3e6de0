/**
 * Who may import whom: the rules of src/README.md, one after the other. Every rule has a canary in
 * test/architecture/boundaries.test.ts that plants what it forbids; a rule without one fails there.
 * Type-only imports count (`tsPreCompilationDeps`): what needs another part's types leans on it too.
 */

const slices =
  'provider|clients|resource-servers|customers|consents|security-events|api-keys|signing-keys|' +
  'edge|admin';
const platform = 'http|tls|database|audit|observability|security|rate-limits';
const sharedWords = '^src/(problem|clock|bounds)[.]ts$';
const npm = (names) => `(^|/)node_modules/(@types/)?(${names})(/|$)`;

/** Nothing of src but the folder itself, the named folders and the shared words. */
const onlyFolders = (name, folder, allowed) => ({
  name,
  severity: 'error',
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: [`^src/(${[folder, ...allowed].join('|')})/`, sharedWords] },
});

const forbid = (name, comment, ends) => ({ name, comment, severity: 'error', ...ends });

module.exports = {
  forbidden: [
    forbid(
      'slices-are-strangers',
      'A slice declares the port it needs; app.ts hands it the function of the other slice that fits.',
      {
        from: { path: `^src/(${slices})/` },
        to: { path: `^src/(${slices})/`, pathNot: '^src/$1/' },
      },
    ),
    forbid(
      'slices-stand-on-the-platform-alone',
      'Configuration arrives as plain values, development material and other slices through app.ts.',
      {
        from: { path: `^src/(${slices})/` },
        to: { path: '^src/', pathNot: [`^src/(${slices}|${platform})/`, sharedWords] },
      },
    ),
    forbid(
      'the-published-package-stands-alone',
      'It is installed beside jose, without the rest of src and its packages.',
      {
        from: { path: '^src/edge/resource-server/' },
        to: {
          path: ['^src/', 'node_modules/'],
          pathNot: ['^src/edge/resource-server/', npm('jose')],
        },
      },
    ),
    forbid(
      'platform-knows-no-slice',
      'The product stands on the platform, never the other way round.',
      { from: { path: `^src/(${platform})/` }, to: { path: `^src/(${slices})/` } },
    ),
    onlyFolders('observability-is-a-leaf', 'observability', []),
    onlyFolders('database-uses-observability-only', 'database', ['observability']),
    onlyFolders('audit-uses-observability-and-database-only', 'audit', [
      'observability',
      'database',
    ]),
    onlyFolders('http-uses-audit-and-observability-only', 'http', ['audit', 'observability']),
    onlyFolders('tls-uses-audit-and-observability-only', 'tls', ['audit', 'observability']),
    onlyFolders('security-uses-audit-and-observability-only', 'security', [
      'audit',
      'observability',
    ]),
    onlyFolders('rate-limits-use-database-observability-and-security-only', 'rate-limits', [
      'database',
      'observability',
      'security',
    ]),
    onlyFolders('development-uses-the-platform-only', 'development', platform.split('|')),
    onlyFolders('config-stands-alone', 'config', []),
    forbid(
      'shared-words-import-nothing',
      'problem.ts, clock.ts and bounds.ts are read by everything, so they read nothing.',
      { from: { path: sharedWords }, to: {} },
    ),
    forbid(
      'stores-alone-touch-the-database',
      'Prisma and SQL stay in *-store.ts, so that a statement is found, and replaced, in one place.',
      {
        from: { path: `^src/(${slices}|audit)/`, pathNot: '-store[.]ts$' },
        to: { path: ['^src/database/', npm('@prisma/[^/]+|pg')] },
      },
    ),
    forbid(
      'database-packages-stay-in-the-database-folder',
      'Beside the stores only database/ knows that there is Prisma.',
      {
        from: { path: '^src/', pathNot: ['^src/database/', '-store[.]ts$'] },
        to: { path: npm('@prisma/[^/]+|pg') },
      },
    ),
    forbid('apis-and-pages-alone-touch-http', 'Rules and stores know nothing of requests.', {
      from: { path: `^src/(${slices})/`, pathNot: '-(api|pages?)[.]ts$' },
      to: { path: '^src/http/' },
    }),
    forbid(
      'input-is-parsed-at-the-border',
      'zod is for what comes from outside; within, values are typed and trusted.',
      {
        from: { path: `^src/(${slices})/`, pathNot: '-(api|pages?|files?|metadata)[.]ts$' },
        to: { path: npm('zod') },
      },
    ),
    forbid(
      'rule-files-are-pure',
      'The file that says what a slice is about has no input, output, clock or package.',
      {
        from: {
          path:
            '^src/(clients/(client|profiles)|resource-servers/resource-server|customers/customer|' +
            'consents/consent|security-events/security-event|api-keys/api-key|' +
            'signing-keys/key-ring|admin/permissions)[.]ts$',
        },
        to: { pathNot: '^src/problem[.]ts$' },
      },
    ),
    forbid(
      'only-provider-and-app-know-the-engine',
      'oidc-provider can be understood, updated or replaced in one folder.',
      {
        from: { path: '^src/', pathNot: ['^src/provider/', '^src/app[.]ts$'] },
        to: { path: npm('oidc-provider') },
      },
    ),
    forbid(
      'app-takes-the-engine-as-a-type',
      'app.ts may name its types; the provider folder builds it.',
      {
        from: { path: '^src/app[.]ts$' },
        to: { path: npm('oidc-provider'), dependencyTypesNot: ['type-only'] },
      },
    ),
    forbid(
      'only-the-process-builds-the-app',
      'One composition root, built by main.ts, cli/serve.ts and the tests; startup/ prepares its settings.',
      {
        from: { path: '^src/', pathNot: ['^src/(main|cli/serve)[.]ts$', '^src/startup/'] },
        to: { path: '^src/app[.]ts$' },
      },
    ),
    forbid(
      'only-the-app-assembles',
      'assembly/ holds the longer constructions of app.ts; startup/ names the type of its settings.',
      {
        from: { path: '^src/', pathNot: ['^src/app[.]ts$', '^src/(assembly|startup)/'] },
        to: { path: '^src/assembly/' },
      },
    ),
    forbid('nobody-imports-main', 'main.ts is the process.', {
      from: {},
      to: { path: '^src/main[.]ts$' },
    }),
    forbid(
      'nobody-imports-the-process',
      "cli/ is the operators' way in and startup/ gets the process ready; the rest takes plain values.",
      {
        from: { path: '^src/', pathNot: ['^src/(cli|startup)/', '^src/main[.]ts$'] },
        to: { path: '^src/(cli|startup)/' },
      },
    ),
    forbid(
      'configuration-is-handed-on-as-values',
      'Read by the process (main.ts, cli/, startup/) only; not even its types travel.',
      {
        from: { path: '^src/', pathNot: ['^src/(config|cli|startup)/', '^src/main[.]ts$'] },
        to: { path: '^src/config/' },
      },
    ),
    forbid(
      'development-material-is-made-by-the-process',
      'Nothing that serves requests knows of generated certificates and customers.',
      {
        from: {
          path: '^src/',
          pathNot: ['^src/(development|cli|startup)/', '^src/(main|app)[.]ts$'],
        },
        to: { path: '^src/development/' },
      },
    ),
    forbid('src-stays-within-src', 'Tests, examples, benchmarks and tools stand outside.', {
      from: { path: '^src/' },
      to: { path: '^(test|examples|bench|tools|deploy|docs)/' },
    }),
    forbid(
      'src-needs-no-development-package',
      'The image has production dependencies only; a type may come from a development one.',
      {
        from: { path: '^src/' },
        to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
      },
    ),
    forbid('packages-are-declared', 'What happens to lie in node_modules may be gone tomorrow.', {
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    }),
    forbid('imports-resolve', 'An import nobody can follow is one no rule can check.', {
      from: {},
      to: {
        couldNotResolve: true,
      },
    }),
    forbid('no-cycles', 'Not even type-only ones.', { from: {}, to: { circular: true } }),
  ],
  options: {
    // Not `exclude`, which would also hide who imports the generated client.
    doNotFollow: { path: ['node_modules', '^src/database/generated/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    combinedDependencies: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      extensions: ['.ts', '.js', '.mjs', '.cjs', '.d.ts'],
    },
  },
};
