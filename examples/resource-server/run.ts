import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { startResourceServer } from './server.ts';
import { trustingFetch } from './trusting-fetch.ts';

const { values } = parseArgs({
  options: {
    issuer: { type: 'string', default: 'https://localhost:3443' },
    identifier: { type: 'string', default: 'https://localhost:3450' },
    port: { type: 'string', default: '3450' },
    keys: { type: 'string', default: path.resolve(import.meta.dirname, '../../keys') },
    introspect: { type: 'boolean', default: false },
  },
});

const read = (name: string) => readFileSync(path.join(values.keys, name), 'utf8');

/** The client and secret that `npm start` made for this resource server. */
function introspectionClient() {
  const { resourceServerSecret } = JSON.parse(read('secrets.json')) as Record<string, string>;
  return { clientId: 'sample-resource-server', clientSecret: resourceServerSecret ?? '' };
}

const ca = read('ca.crt');
const server = await startResourceServer({
  issuer: values.issuer,
  identifier: values.identifier,
  port: Number(values.port),
  // The development authority's server certificate is for every port of localhost.
  tls: { cert: read('server.crt'), key: read('server.key'), ca },
  fetch: trustingFetch(ca),
  ...(values.introspect ? { introspection: introspectionClient() } : {}),
  onError(error) {
    console.error(error);
  },
});
console.log(`${values.identifier} listens on ${server.url}; stop with Ctrl-C`);
