import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { openEmbeddedBank } from './bank/embedded-bank.ts';
import { startApi } from './server.ts';
import { trustingFetch } from './trusting-fetch.ts';

const root = path.resolve(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: {
    issuer: { type: 'string', default: 'https://localhost:3443' },
    identifier: { type: 'string', default: 'https://localhost:3450' },
    port: { type: 'string', default: '3450' },
    keys: { type: 'string', default: path.join(root, 'keys') },
    data: { type: 'string', default: path.join(root, 'data') },
    introspect: { type: 'boolean', default: false },
  },
});

const read = (name: string) => readFileSync(path.join(values.keys, name), 'utf8');
const { resourceServerSecret } = JSON.parse(read('secrets.json')) as Record<string, string>;
const ca = read('ca.crt');
const bank = await openEmbeddedBank(values.data);
const api = await startApi({
  issuer: values.issuer,
  identifier: values.identifier,
  port: Number(values.port),
  // The development authority's server certificate is for every port of localhost.
  tls: { cert: read('server.crt'), key: read('server.key'), ca },
  // The client and secret that `npm start` made for this resource server.
  client: { id: 'sample-resource-server', secret: resourceServerSecret ?? '' },
  bank,
  fetch: trustingFetch(ca),
  introspect: values.introspect,
  onError(error) {
    console.error(error);
  },
});
console.log(`${values.identifier} listens on ${api.url}; stop with Ctrl-C`);

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    void api.stop().then(() => bank.close());
  });
}
