import { isIP } from 'node:net';
import { z } from 'zod';
import { keys256, setting, whole } from './setting.ts';

const addressList = z
  .string()
  .transform((value) => value.split(',').map((part) => part.trim()))
  .refine(
    (parts) => parts.every((part) => isIP(part) !== 0),
    'must be addresses such as 10.1.2.3, separated by commas',
  );

/** The keys that sign tokens, and how they follow one another. */
export const keySettings = {
  masterKeys: setting({
    variable: 'COUNTERSIGN_MASTER_KEYS',
    type: keys256.optional(),
    secret: true,
    sentence:
      'Keys that wrap the stored signing keys, 32 bytes base64url each; the first wraps, all unwrap (`keys rewrap`).',
  }),
  keyRotationSeconds: setting({
    variable: 'COUNTERSIGN_KEY_ROTATION',
    type: whole(0, 315_360_000),
    fallback: '7776000',
    unit: 's',
    sentence: 'How long a key signs before the next one does; 0 leaves it to `keys rotate`.',
  }),
  keyAnnounceSeconds: setting({
    variable: 'COUNTERSIGN_KEY_ANNOUNCE',
    type: whole(1, 31_536_000),
    fallback: '1209600',
    unit: 's',
    sentence: 'How long a key is published before it signs.',
  }),
  keyReaderWaitSeconds: setting({
    variable: 'COUNTERSIGN_KEY_READER_WAIT',
    type: whole(0, 31_536_000),
    fallback: '604800',
    unit: 's',
    sentence:
      'How long the schedule waits beyond its time until every proven resource server has fetched the new key.',
  }),
  keyReaderAddresses: setting({
    variable: 'COUNTERSIGN_KEY_READER_ADDRESSES',
    type: addressList.optional(),
    sentence:
      'Addresses (separated by commas) from which resource servers fetch the key set, of those that do not prove themselves by a certificate; a new key waits for them.',
  }),
} as const;
