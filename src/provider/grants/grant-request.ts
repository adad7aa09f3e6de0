/** Grant Management for OAuth 2.0 (draft 03), "Authorization server's metadata": all that clients can do. */
export const grantActions = ['create', 'merge', 'replace', 'query', 'revoke'] as const;

/** What an authorization request wants of a grant that its client manages. */
export type GrantWish = { action: 'create' } | { action: 'merge' | 'replace'; grantId: string };

type Parameters = Readonly<Record<string, unknown>>;

/** The wish in an authorization request, or what is wrong with it; undefined where there is none. */
export function readWish(parameters: Parameters): GrantWish | { fault: string } | undefined {
  const { grant_management_action: action, grant_id: id } = parameters;
  if (action === undefined) {
    return id === undefined ? undefined : { fault: 'grant_id needs a grant_management_action' };
  }
  if (action === 'create') {
    return id === undefined ? { action } : { fault: 'a grant to be created has no grant_id yet' };
  }
  if (action !== 'merge' && action !== 'replace') {
    return { fault: 'grant_management_action is none that is offered' };
  }
  return typeof id === 'string'
    ? { action, grantId: id }
    : { fault: `grant_management_action ${action} needs a grant_id` };
}

/** The wish of a request that was checked before. */
export function wishIn(parameters: Parameters): GrantWish | undefined {
  const wish = readWish(parameters);
  return wish === undefined || 'fault' in wish ? undefined : wish;
}
