import { startNginxGateway } from './support/edge-gateways.ts';
import { describeGateway } from './support/edge-suites.ts';

describeGateway({
  name: 'NGINX',
  kind: 'nginx',
  start: startNginxGateway,
  differences: {
    http10: [200, 200],
    http2: false,
    normalises: {},
    takesAway: [],
    aliases: { underscores: 200, others: 200 },
    nextNonce: true,
    undecided: { status: 503, retryAfter: '5' },
    upgrades: { websocket: 200, h2c: 200, 'TLS/1.2': 200 },
    ownPath: 404,
    refusals: [400],
  },
});
