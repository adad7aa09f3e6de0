import js from '@eslint/js';
import vitest from '@vitest/eslint-plugin';
import { defineConfig, globalIgnores } from 'eslint/config';
import node from 'eslint-plugin-n';
import regexp from 'eslint-plugin-regexp';
import tseslint from 'typescript-eslint';

/** Files that run in a browser; everything else runs on Node. */
const browserFiles = ['views/assets/**/*.js'];
const typedFiles = ['**/*.ts'];
const testFiles = ['test/**/*.ts'];
/** What the file size and complexity caps hold for; there are no exemptions among them. */
const cappedFiles = ['{src,tools,examples,bench}/**/*.{js,mjs,ts}', '*.{js,cjs,mjs,ts}'];

const caps = {
  'max-lines': ['error', { max: 300, skipBlankLines: true, skipComments: true }],
  'max-lines-per-function': ['error', { max: 60, skipBlankLines: true, skipComments: true }],
  '@typescript-eslint/max-params': ['error', { max: 3 }],
  complexity: ['error', { max: 10 }],
};

const environmentIsAnArgument = [
  {
    selector: "MemberExpression[object.name='process'][property.name='env']",
    message: 'The environment is read in src/main.ts and src/cli only; take a plain value.',
  },
  {
    selector: "MemberExpression[object.name='process'][property.value='env']",
    message: 'The environment is read in src/main.ts and src/cli only; take a plain value.',
  },
  {
    selector: "VariableDeclarator[init.name='process'][id.type='ObjectPattern']",
    message: 'Name what you need of process, so that a reader and these rules can find it.',
  },
  {
    selector: 'ImportDeclaration[source.value=/^(node:)?process$/]',
    message: 'Use the global process, so that the rule about process.env can see it.',
  },
];

const networkIsAnArgument = [
  {
    selector: "MemberExpression[object.name=/^(globalThis|global)$/][property.name='fetch']",
    message: 'Outbound requests go through src/security/outbound-fetch.ts.',
  },
  {
    selector: 'ImportDeclaration[source.value=/^undici/]',
    message: 'Outbound requests go through src/security/outbound-fetch.ts.',
  },
];

const timeIsAnArgument = [
  {
    selector: "NewExpression[callee.name='Date'][arguments.length=0]",
    message: 'Take a Clock (src/clock.ts).',
  },
  { selector: "CallExpression[callee.name='Date']", message: 'Take a Clock (src/clock.ts).' },
  {
    selector: "MemberExpression[object.name='Date'][property.name='now']",
    message: 'Take a Clock (src/clock.ts).',
  },
];

const noFetch = [
  'error',
  { name: 'fetch', message: 'Outbound requests go through src/security/outbound-fetch.ts.' },
];
/** In order of specificity: the last of these that matches a file is the one that counts. */
const restricted = (...selectors) => ({ 'no-restricted-syntax': ['error', ...selectors.flat()] });

export default defineConfig(
  globalIgnores(['node_modules/', 'coverage/', 'data/', 'dist/', 'src/database/generated/']),
  {
    linterOptions: { reportUnusedDisableDirectives: 'error', reportUnusedInlineConfigs: 'error' },
  },
  js.configs.recommended,
  regexp.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'object-shorthand': 'error',
      'no-eval': 'error',
      'no-new-func': 'error',
      'no-implied-eval': 'error',
    },
  },
  {
    ignores: browserFiles,
    extends: [node.configs['flat/recommended-module']],
    settings: { node: { version: '>=24.0.0' } },
    rules: {
      'n/prefer-node-protocol': 'error',
      'n/no-path-concat': 'error',
      // tsc and dependency-cruiser resolve imports, and know the generated client and package exports.
      'n/no-missing-import': 'off',
      // For packages that get published; this one is not, and dependency-cruiser keeps src off devDependencies.
      'n/no-unpublished-import': 'off',
    },
  },
  {
    files: typedFiles,
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': [
        'error',
        { fixStyle: 'separate-type-imports' },
      ],
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/no-unused-vars': [
        'error',
        { argsIgnorePattern: '^_', ignoreRestSiblings: true },
      ],
      'no-restricted-exports': [
        'error',
        {
          restrictDefaultExports: {
            direct: true,
            named: true,
            defaultFrom: true,
            namedFrom: true,
            namespaceFrom: true,
          },
        },
      ],
    },
  },
  {
    // The tools that read these ask for a default export.
    files: ['*.config.ts', 'test/support/global-setup.ts'],
    rules: { 'no-restricted-exports': 'off' },
  },
  { files: cappedFiles, plugins: { '@typescript-eslint': tseslint.plugin }, rules: caps },
  {
    files: testFiles,
    extends: [vitest.configs.recommended],
    rules: {
      ...caps,
      'max-lines-per-function': 'off',
      'vitest/no-disabled-tests': 'error',
      'vitest/expect-expect': [
        'error',
        { assertFunctionNames: ['expect*', 'assert*', 'fc.assert'] },
      ],
    },
  },
  {
    files: ['examples/**/*.ts', 'bench/**/*.ts'],
    rules: restricted(environmentIsAnArgument),
  },
  {
    files: ['src/**/*.ts'],
    rules: {
      ...restricted(environmentIsAnArgument, networkIsAnArgument, timeIsAnArgument),
      'no-restricted-globals': noFetch,
    },
  },
  {
    files: ['src/main.ts', 'src/cli/**/*.ts'],
    rules: restricted(networkIsAnArgument, timeIsAnArgument),
  },
  { files: ['src/clock.ts'], rules: restricted(environmentIsAnArgument, networkIsAnArgument) },
  {
    // The published package stands alone: its clock and network are an option, and these the default.
    files: ['src/edge/resource-server/surroundings.ts'],
    rules: { ...restricted(environmentIsAnArgument), 'no-restricted-globals': 'off' },
  },
  {
    files: ['src/security/outbound-fetch.ts'],
    rules: {
      ...restricted(environmentIsAnArgument, timeIsAnArgument),
      'no-restricted-globals': 'off',
    },
  },
  {
    files: browserFiles,
    languageOptions: {
      globals: {
        document: 'readonly',
        window: 'readonly',
        navigator: 'readonly',
        location: 'readonly',
      },
    },
  },
  {
    files: ['**/*.cjs'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { module: 'writable', require: 'readonly' },
    },
  },
);
