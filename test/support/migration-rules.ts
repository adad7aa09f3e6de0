/**
 * What a migration must not contain, so that the version before it runs on during an upgrade: a statement that takes
 * away, renames, retypes or narrows what is there.
 */
const destructive: readonly [RegExp, string][] = [
  [/\bDROP\s+(?:TABLE|SCHEMA|TYPE|VIEW|FUNCTION|TRIGGER)\b/i, 'drops something'],
  [/\bDROP\s+(?:COLUMN|DEFAULT)\b/i, 'drops a column or its default'],
  [/\bALTER\s+TABLE\s[^;]+\sDROP\s+(?!CONSTRAINT\s|NOT\s)/i, 'drops part of a table'],
  [/\bRENAME\b/i, 'renames'],
  [/\bALTER\s+(?:COLUMN\s+)?\S+\s+(?:SET\s+DATA\s+)?TYPE\b/i, 'changes a type'],
  [/\bSET\s+NOT\s+NULL\b/i, 'demands values that the version before leaves out'],
  [/\bTRUNCATE\b|\bDELETE\s+FROM\b/i, 'deletes rows'],
  [
    /\bALTER\s+TABLE\s[^;]+\sADD\s+CONSTRAINT\s[^;]+\s(?:CHECK|UNIQUE|FOREIGN\s+KEY|EXCLUDE|PRIMARY\s+KEY)\b/i,
    'constrains a table that is in use',
  ],
];

/** Why a statement can't be part of a migration that only adds; undefined when it can. */
function faultOf(statement: string, tablesOfItsOwn: ReadonlySet<string>): string | undefined {
  const table = /\bALTER\s+TABLE\s+(?:ONLY\s+)?"?(\w+)"?/i.exec(statement)?.[1];
  if (table !== undefined && tablesOfItsOwn.has(table)) return undefined;
  const uniqueOn = /\bCREATE\s+UNIQUE\s+INDEX\s.*?\sON\s+"?(\w+)"?/is.exec(statement)?.[1];
  if (uniqueOn !== undefined && !tablesOfItsOwn.has(uniqueOn)) {
    return 'constrains a table that is in use';
  }
  for (const [pattern, fault] of destructive) if (pattern.test(statement)) return fault;
  return requiredColumnOf(statement);
}

/** A column without a default that must have a value: the version before does not give one. */
function requiredColumnOf(statement: string): string | undefined {
  if (!/\bALTER\s+TABLE\b/i.test(statement)) return undefined;
  const additions = statement.split(/\bADD\s+(?:COLUMN\s+)?/i).slice(1);
  const isRequired = (column: string) =>
    /\bNOT\s+NULL\b/i.test(column) && !/\bDEFAULT\b|\bGENERATED\b/i.test(column);
  return additions.some(isRequired)
    ? 'adds a column that the version before leaves empty'
    : undefined;
}

/** Without comments, and function bodies as one statement each. */
function statementsOf(sql: string): string[] {
  const bare = sql.replace(/--[^\n]*/g, '').replace(/\/\*[\s\S]*?\*\//g, '');
  const bodies: string[] = [];
  const folded = bare.replace(
    /\$(\w*)\$[\s\S]*?\$\1\$/g,
    (body) => `$${String(bodies.push(body))}`,
  );
  return folded
    .split(';')
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}

/** Every statement of a migration that is not purely additive, each with its fault; tables of its own may be shaped freely. */
export function destructiveStatements(sql: string): string[] {
  const statements = statementsOf(sql);
  const own = new Set(
    statements.flatMap((statement) => {
      const name = /\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?"?(\w+)"?/i.exec(statement)?.[1];
      return name === undefined ? [] : [name];
    }),
  );
  return statements.flatMap((statement) => {
    const fault = faultOf(statement, own);
    return fault === undefined ? [] : [`${fault}: ${statement}`];
  });
}
