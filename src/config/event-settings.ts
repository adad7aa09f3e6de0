import { setting, whole } from './setting.ts';

/** Security events on their way to receivers (docs/security-events.md). */
export const eventSettings = {
  eventTimeoutMs: setting({
    variable: 'COUNTERSIGN_EVENTS_TIMEOUT',
    type: whole(100, 60_000),
    fallback: '10000',
    unit: 'ms',
    sentence: 'How long a receiver may take to accept a security event that is pushed.',
  }),
  eventLongestRetrySeconds: setting({
    variable: 'COUNTERSIGN_EVENTS_LONGEST_RETRY',
    type: whole(1, 3600),
    fallback: '300',
    unit: 's',
    sentence:
      'The longest wait between two attempts; the first is half a second, each further one twice as long.',
  }),
  eventMaxAgeSeconds: setting({
    variable: 'COUNTERSIGN_EVENTS_MAX_AGE',
    type: whole(1, 2_592_000),
    fallback: '604800',
    unit: 's',
    sentence: 'How long a security event is tried, or kept to be fetched, before it is given up.',
  }),
  eventPollWaitSeconds: setting({
    variable: 'COUNTERSIGN_EVENTS_POLL_WAIT',
    type: whole(0, 55),
    fallback: '25',
    unit: 's',
    sentence: 'How long a poll waits for an event where none is there.',
  }),
} as const;
