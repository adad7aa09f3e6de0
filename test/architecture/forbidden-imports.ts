/** One file with an import that the rule of the same name forbids. */
export interface Plant {
  file: string;
  text: string;
}

const valueOf = (module: string) =>
  `import { thing } from '${module}';\nexport const used = thing;\n`;
const typeOf = (module: string) =>
  `import type { Thing } from '${module}';\nexport type Used = Thing;\n`;

/** Plants a value import; the file is named after the rule's case so that two plants don't meet. */
const value = (file: string, module: string): Plant => ({ file, text: valueOf(module) });
const type = (file: string, module: string): Plant => ({ file, text: typeOf(module) });

/** What is forbidden, by the name of the rule in `.dependency-cruiser.cjs`. */
export const forbiddenImports: Readonly<Record<string, readonly Plant[]>> = {
  'slices-are-strangers': [
    value('src/clients/registration.ts', '../customers/thing.ts'),
    type('src/consents/ports.ts', '../api-keys/thing.ts'),
    type('src/customers/ports.ts', '../provider/thing.ts'),
    type('src/provider/audiences.ts', '../resource-servers/thing.ts'),
    value('src/edge/forward-auth.ts', '../signing-keys/thing.ts'),
    value('src/admin/admin-api.ts', '../clients/thing.ts'),
    type('src/security-events/event-ports.ts', '../consents/thing.ts'),
  ],
  'slices-stand-on-the-platform-alone': [
    value('src/clients/settings.ts', '../config/thing.ts'),
    type('src/provider/first-start.ts', '../development/thing.ts'),
  ],
  'the-published-package-stands-alone': [
    value('src/edge/resource-server/failure.ts', '../../problem.ts'),
    type('src/edge/resource-server/slice.ts', '../thing.ts'),
    value('src/edge/resource-server/input.ts', 'zod'),
  ],
  'platform-knows-no-slice': [
    value('src/http/consent-guard.ts', '../consents/thing.ts'),
    type('src/tls/client-lookup.ts', '../clients/thing.ts'),
    value('src/database/seed.ts', '../customers/thing.ts'),
    type('src/audit/actors.ts', '../admin/thing.ts'),
    value('src/observability/tenant.ts', '../edge/thing.ts'),
    value('src/security/keys.ts', '../signing-keys/thing.ts'),
  ],
  'observability-is-a-leaf': [value('src/observability/log-store.ts', '../database/thing.ts')],
  'database-uses-observability-only': [value('src/database/trace.ts', '../audit/thing.ts')],
  'audit-uses-observability-and-database-only': [value('src/audit/export.ts', '../http/thing.ts')],
  'http-uses-audit-and-observability-only': [value('src/http/peer.ts', '../tls/thing.ts')],
  'tls-uses-audit-and-observability-only': [type('src/tls/limits.ts', '../http/thing.ts')],
  'security-uses-audit-and-observability-only': [
    value('src/security/rate-limit-store.ts', '../database/thing.ts'),
  ],
  'rate-limits-use-database-observability-and-security-only': [
    value('src/rate-limits/limit-page.ts', '../http/thing.ts'),
    type('src/rate-limits/limit-subjects.ts', '../tls/thing.ts'),
  ],
  'development-uses-the-platform-only': [
    value('src/development/customer.ts', '../customers/thing.ts'),
    type('src/development/settings.ts', '../config/thing.ts'),
  ],
  'config-stands-alone': [value('src/config/log.ts', '../observability/thing.ts')],
  'shared-words-import-nothing': [
    value('src/problem.ts', 'zod'),
    value('src/clock.ts', 'node:perf_hooks'),
    value('src/bounds.ts', './config/thing.ts'),
  ],
  'stores-alone-touch-the-database': [
    value('src/clients/lookup.ts', '../database/thing.ts'),
    type('src/clients/row.ts', '../database/generated/thing.ts'),
    value('src/provider/grants.ts', 'pg'),
    type('src/audit/trail.ts', '@prisma/client'),
  ],
  'database-packages-stay-in-the-database-folder': [
    value('src/http/health.ts', 'pg'),
    type('src/app.ts', '@prisma/client'),
  ],
  'apis-and-pages-alone-touch-http': [value('src/customers/password.ts', '../http/thing.ts')],
  'input-is-parsed-at-the-border': [value('src/customers/login.ts', 'zod')],
  'rule-files-are-pure': [
    value('src/clients/client.ts', '../clock.ts'),
    value('src/customers/customer.ts', 'node:crypto'),
    type('src/signing-keys/key-ring.ts', 'zod'),
    value('src/resource-servers/resource-server.ts', './thing.ts'),
    value('src/consents/consent.ts', './thing.ts'),
    value('src/security-events/security-event.ts', '../clock.ts'),
    value('src/api-keys/api-key.ts', '../security/thing.ts'),
    value('src/admin/permissions.ts', 'node:fs'),
  ],
  'only-provider-and-app-know-the-engine': [
    type('src/clients/metadata.ts', 'oidc-provider'),
    value('src/cli/keys.ts', 'oidc-provider'),
  ],
  'app-takes-the-engine-as-a-type': [value('src/app.ts', 'oidc-provider')],
  'only-the-process-builds-the-app': [
    value('src/cli/clients.ts', '../app.ts'),
    value('src/provider/swap.ts', '../app.ts'),
  ],
  'only-the-app-assembles': [
    value('src/cli/clients.ts', '../assembly/thing.ts'),
    type('src/provider/swap.ts', '../assembly/thing.ts'),
  ],
  'nobody-imports-main': [value('src/cli/serve.ts', '../main.ts')],
  'nobody-imports-the-process': [
    value('src/config/flags.ts', '../cli/thing.ts'),
    type('src/http/ready.ts', '../startup/thing.ts'),
  ],
  'configuration-is-handed-on-as-values': [
    type('src/app.ts', './config/thing.ts'),
    value('src/http/headers.ts', '../config/thing.ts'),
  ],
  'development-material-is-made-by-the-process': [
    value('src/tls/listeners.ts', '../development/thing.ts'),
  ],
  'src-stays-within-src': [
    value('src/main.ts', '../test/thing.ts'),
    type('src/cli/demo.ts', '../../examples/thing.ts'),
    value('src/cli/load.ts', '../../bench/thing.ts'),
    value('src/cli/migrate.ts', '../../tools/thing.ts'),
  ],
  'src-needs-no-development-package': [value('src/http/mount.ts', 'vitest')],
  'packages-are-declared': [value('src/http/route.ts', 'package-that-nobody-declared')],
  'imports-resolve': [value('src/http/render.ts', './not-written-yet.ts')],
  'no-cycles': [
    type('src/clients/early.ts', './late.ts'),
    type('src/clients/late.ts', './early.ts'),
  ],
};
