import { flag, setting } from './setting.ts';

/** Grants that clients manage by their ids (docs/grant-management.md). */
export const grantSettings = {
  grantActionRequired: setting({
    variable: 'COUNTERSIGN_GRANT_ACTION_REQUIRED',
    type: flag,
    fallback: 'false',
    sentence:
      'Whether every authorization request must say by grant_management_action what becomes of the grant.',
  }),
} as const;
