import type { Registry } from 'prom-client';
import { createCounter, createGauge, oneOf } from './metric-handles.ts';
import type { CounterHandle, GaugeHandle } from './metric-handles.ts';

/** What is counted of security events on their way to receivers. */
export interface EventMetrics {
  securityEventDeliveries: CounterHandle<'delivery' | 'outcome'>;
  securityEventBacklog: GaugeHandle<'delivery'>;
  securityEventOldestSeconds: GaugeHandle<'delivery'>;
}

const deliveries = oneOf(['push', 'poll']);

/** The metrics of security events; streams are no label, for there may be many. */
export function eventMetrics(registry: Registry): EventMetrics {
  return {
    securityEventDeliveries: createCounter(registry, {
      name: 'countersign_security_event_deliveries_total',
      help: 'Security events delivered, or not: failed is tried again, rejected and expired are lost.',
      labels: {
        delivery: deliveries,
        outcome: oneOf(['delivered', 'failed', 'rejected', 'expired']),
      },
    }),
    securityEventBacklog: createGauge(registry, {
      name: 'countersign_security_event_backlog',
      help: 'Security events that wait, counted up to 10 000 a stream.',
      labels: { delivery: deliveries },
    }),
    securityEventOldestSeconds: createGauge(registry, {
      name: 'countersign_security_event_oldest_seconds',
      help: 'How long the oldest security event that waits has been waiting.',
      labels: { delivery: deliveries },
    }),
  };
}
