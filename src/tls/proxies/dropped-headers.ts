import type { Clock } from '../../clock.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { createReminder } from '../../observability/reminder.ts';

/**
 * Why a certificate header was dropped: its sender is no proxy of ours, our proxy sends a header that
 * is not the configured one, or it came for the host that asks nobody for certificates.
 */
export type DropReason = 'no_proxy' | 'not_configured' | 'public_host';

interface Dependencies {
  readonly clock: Clock;
  readonly logger: Pick<Logger, 'warn'>;
  readonly metrics: Pick<Metrics, 'certificateHeadersDropped'>;
}

const quietMs = 60_000;

/** Counts requests whose certificate headers were dropped (none of no headers), and writes one line a minute for an address. */
export function createDropReport({ clock, logger, metrics }: Dependencies) {
  const isNews = createReminder(clock);

  return function reportDropped(
    address: string,
    headers: readonly string[],
    reason: DropReason,
  ): void {
    if (headers.length === 0) return;
    metrics.certificateHeadersDropped.increment({ reason });
    if (!isNews(address, quietMs)) return;
    logger.warn('Certificate headers were dropped', { peer: address, headers, reason });
  };
}
