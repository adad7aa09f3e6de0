import { setting, whole } from './setting.ts';

/** What operators may bound otherwise; the rest is fixed (docs/bounds.md). */
export const boundSettings = {
  requestSeconds: setting({
    variable: 'COUNTERSIGN_REQUEST_TIME',
    type: whole(1, 110),
    fallback: '90',
    unit: 's',
    sentence:
      'How long a request may take until it is answered with 503; a poll for events waits two thirds of it at most.',
  }),
} as const;
