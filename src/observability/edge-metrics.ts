import type { Registry } from 'prom-client';
import { createCounter, oneOf } from './metric-handles.ts';
import type { CounterHandle } from './metric-handles.ts';

/** What is counted of the edge. */
export interface EdgeMetrics {
  edgeDecisions: CounterHandle<'outcome'>;
}

const refusals = ['denied', 'unauthenticated', 'forbidden', 'limited', 'unavailable'];

/** Makes it. */
export function edgeMetrics(registry: Registry): EdgeMetrics {
  return {
    edgeDecisions: createCounter(registry, {
      name: 'countersign_edge_decisions_total',
      help: 'Requests that proxies asked about, by what they were told.',
      labels: { outcome: oneOf(['admitted', ...refusals]) },
    }),
  };
}
