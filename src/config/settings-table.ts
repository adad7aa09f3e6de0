import { settings } from './schema.ts';
import type { Setting } from './setting.ts';

/** A setting in words. */
export interface DescribedSetting {
  variable: string;
  /** As one would write it; undefined for none. */
  default: string | undefined;
  unit: string | undefined;
  secret: boolean;
  sentence: string;
}

/** Every setting in the order of the schema. */
export function describeSettings(): DescribedSetting[] {
  const all: Setting<unknown>[] = Object.values(settings);
  return all.map(({ variable, fallback, unit, secret, sentence }) => ({
    variable,
    default: fallback,
    unit,
    secret: secret === true,
    sentence,
  }));
}

/** The Markdown table of README.md, without a line end. */
export function settingsTable(): string {
  const rows = describeSettings().map((setting) => [
    `\`${setting.variable}\``,
    defaultOf(setting),
    setting.secret ? `${setting.sentence} Secret.` : setting.sentence,
  ]);
  const lines = [['Variable', 'Default', 'What it is'], ['---', '---', '---'], ...rows];
  return lines.map((cells) => `| ${cells.map(escapeCell).join(' | ')} |`).join('\n');
}

function defaultOf({ default: value, unit }: DescribedSetting): string {
  if (value === undefined || value === '') return unit === undefined ? '' : `(${unit})`;
  return unit === undefined ? `\`${value}\`` : `\`${value}\` ${unit}`;
}

function escapeCell(text: string): string {
  return text.replaceAll('|', '\\|');
}
