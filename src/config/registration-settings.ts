import { flag, optionalText, setting } from './setting.ts';

/** How clients may register themselves (RFC 7591) and manage what they registered (RFC 7592). */
export const registrationSettings = {
  directoriesFile: setting({
    variable: 'COUNTERSIGN_DIRECTORIES',
    type: optionalText,
    sentence:
      'Path of a JSON file with the directories whose software statements are trusted (docs/operations.md); with it clients may register at `/register`.',
  }),
  initialAccessTokens: setting({
    variable: 'COUNTERSIGN_INITIAL_ACCESS_TOKENS',
    type: flag,
    fallback: 'false',
    sentence:
      'Whether clients may register at `/register` with a token that `countersign clients initial-access-token` issued.',
  }),
  registrationResource: setting({
    variable: 'COUNTERSIGN_REGISTRATION_RESOURCE',
    type: optionalText,
    sentence:
      'The resource server whose client-credentials tokens manage a registration; goes with COUNTERSIGN_REGISTRATION_SCOPE.',
  }),
  registrationScope: setting({
    variable: 'COUNTERSIGN_REGISTRATION_SCOPE',
    type: optionalText,
    sentence:
      'The scope with which a client-credentials token manages the registration of its client; without it only the registration access token does.',
  }),
} as const;
