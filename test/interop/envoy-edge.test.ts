import { startEnvoyGateway } from './support/edge-gateways.ts';
import { describeGateway } from './support/edge-suites.ts';

describeGateway({
  name: 'Envoy',
  kind: 'envoy',
  start: startEnvoyGateway,
  differences: {
    http10: [426, 426],
    http2: true,
    normalises: {
      '/./accounts': '/accounts',
      '/../accounts': '/accounts',
      '/%61ccounts': '/accounts',
      '/files/../accounts': '/accounts',
      '/files/%2e%2e/accounts': '/accounts',
      '/edge/verify/../../accounts': '/accounts',
      '/files/..;/accounts': '/accounts',
      '/files/a\\b': '/files/a/b',
      '/files/%7E': '/files/~',
    },
    takesAway: ['x-envoy-original-path'],
    aliases: { underscores: 400, others: 200 },
    nextNonce: true,
    undecided: { status: 503, retryAfter: undefined },
    upgrades: { websocket: 403, h2c: 200, 'TLS/1.2': 403 },
    ownPath: 403,
    refusals: [400, 404],
  },
});
