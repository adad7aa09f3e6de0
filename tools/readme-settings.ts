import { settingsTable } from '../src/config/settings-table.ts';

const block = /(?<=<!-- settings -->\n)[\s\S]*(?=<!-- \/settings -->)/;

/** The README with the present table of settings between its markers; throws when it has none. */
export function withSettings(readme: string): string {
  if (!block.test(readme))
    throw new Error('README.md has no <!-- settings --> … <!-- /settings -->');
  // Prettier would pad every row to the longest sentence.
  const table = `\n<!-- prettier-ignore -->\n${settingsTable()}\n\n`;
  return readme.replace(block, () => table);
}
