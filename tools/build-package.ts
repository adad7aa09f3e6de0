import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

/** What is published: the middleware of resource servers alone, as JavaScript, because Node strips no types in node_modules. */
const root = fileURLToPath(new URL('..', import.meta.url));
const source = path.join(root, 'src/edge/resource-server');
const target = path.resolve(process.argv[2] ?? path.join(root, 'dist/package'));

const { name, version, license, engines, dependencies } = JSON.parse(
  readFileSync(path.join(root, 'package.json'), 'utf8'),
) as {
  name: string;
  version: string;
  license: string;
  engines: object;
  dependencies: Record<string, string>;
};

rmSync(target, { recursive: true, force: true });
mkdirSync(target, { recursive: true });
compile();
const [, major = '', minor = '', patch = ''] =
  /^(\d+)\.(\d+)\.(\d+)$/.exec(dependencies['jose'] ?? '') ?? [];
const manifest = {
  ...{ name, version, license, engines },
  description: 'Protects APIs with the access tokens of Countersign',
  type: 'module',
  exports: {
    './resource-server': {
      types: './lib/resource-server.d.ts',
      default: './lib/resource-server.js',
    },
  },
  files: ['lib'],
  sideEffects: false,
  dependencies: { jose: `^${major}.${minor}.${patch}` },
};
writeFileSync(path.join(target, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
for (const file of ['LICENSE', 'NOTICE']) cpSync(path.join(root, file), path.join(target, file));
cpSync(path.join(root, 'docs/resource-server-guide.md'), path.join(target, 'README.md'));
console.log(target);

function compile(): void {
  const { config } = ts.readConfigFile(path.join(root, 'tsconfig.json'), (file) =>
    ts.sys.readFile(file),
  ) as { config: { compilerOptions: Record<string, unknown> } };
  const { options } = ts.convertCompilerOptionsFromJson(
    {
      ...config.compilerOptions,
      noEmit: false,
      declaration: true,
      allowImportingTsExtensions: false,
      rewriteRelativeImportExtensions: true,
      rootDir: source,
      outDir: path.join(target, 'lib'),
    },
    root,
  );
  const program = ts.createProgram([path.join(source, 'resource-server.ts')], options);
  // Types keep the endings of the source otherwise.
  const { diagnostics } = program.emit(undefined, (file, text) => {
    ts.sys.writeFile(
      file,
      file.endsWith('.d.ts') ? text.replaceAll(/(from '\.[^']*)\.ts'/g, "$1.js'") : text,
    );
  });
  const found = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
  if (found.length === 0) return;
  throw new Error(ts.formatDiagnostics(found, ts.createCompilerHost(options)));
}
