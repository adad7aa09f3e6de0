import { describe, expect, it } from 'vitest';
import { settings } from '../../src/config/schema.ts';
import { withSettings } from '../../tools/readme-settings.ts';
import { textOf } from './repository-files.ts';

const readme = await textOf('README.md');

/** `KEY` of each `| \`KEY\` | … |`. */
const documented = [...readme.matchAll(/^\| `(\w+)` \|/gm)].map(([, variable]) => variable);

describe('The README', () => {
  it('has the table of settings that the schema makes (npm run docs:settings)', () => {
    expect(readme).toBe(withSettings(readme));
  });

  it('names every setting once', () => {
    const variables = Object.values(settings).map(({ variable }) => variable);
    expect(variables.length).toBeGreaterThan(30);
    expect(documented).toEqual(variables);
  });
});

describe('The table of settings', () => {
  it('replaces what stood between the markers, and nothing else', () => {
    const text = 'before\n<!-- settings -->\nold $& text\n<!-- /settings -->\nafter\n';
    const updated = withSettings(text);
    expect(updated).toMatch(/^before\n<!-- settings -->\n[\s\S]*<!-- \/settings -->\nafter\n$/);
    expect(updated).not.toContain('old $& text');
    expect(updated).toContain('| `COUNTERSIGN_ISSUER` | `https://localhost:3443` |');
    expect(updated).toContain('| `COUNTERSIGN_DATABASE_TIMEOUT_MS` | `5000` ms |');
  });

  it('never goes missing silently', () => {
    expect(() => withSettings('no markers')).toThrow('README.md has no');
  });
});
