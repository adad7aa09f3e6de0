/** Fields with which a form names several accounts; the rest of the name is the account's id. */
export const accountPrefix = 'account:';

/** The accounts that a form names: a field each, or `account` where there is but one. */
export function chosenIn(fields: Readonly<Record<string, string>>): Set<string> {
  const several = Object.keys(fields).filter((name) => name.startsWith(accountPrefix));
  const ids = several.map((name) => name.slice(accountPrefix.length));
  return new Set([...ids, ...(fields['account'] === undefined ? [] : [fields['account']])]);
}
