import { setting, whole } from './setting.ts';

/** The pages of customers who are signed in (docs/consents.md). */
export const accountSettings = {
  accountIdleSeconds: setting({
    variable: 'COUNTERSIGN_ACCOUNT_IDLE',
    type: whole(60, 3600),
    fallback: '300',
    unit: 's',
    sentence:
      'How long a session may go unused before the customer’s own pages ask for the password again (RTS on SCA, Article 4(3)(d): at most 5 minutes).',
  }),
  accountRecentSeconds: setting({
    variable: 'COUNTERSIGN_ACCOUNT_RECENT_LOGIN',
    type: whole(60, 3600),
    fallback: '300',
    unit: 's',
    sentence:
      'How long after a login customers may change what they share and sign out other devices without confirming their password.',
  }),
} as const;
