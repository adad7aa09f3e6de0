// What the printed commands use of curl, for machines without it.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Agent, fetch } from 'undici';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    cacert: { type: 'string' },
    cert: { type: 'string' },
    key: { type: 'string' },
    header: { type: 'string', short: 'H', multiple: true, default: [] },
    data: { type: 'string', short: 'd', multiple: true, default: [] },
    silent: { type: 'boolean', short: 's' },
    'show-error': { type: 'boolean', short: 'S' },
  },
});

const read = (name: string | undefined) => (name === undefined ? '' : readFileSync(name));
const body = values.data
  .map((text) => (text.startsWith('@') ? readFileSync(text.slice(1), 'utf8') : text))
  .join('&');
const headers = new Headers({ 'content-type': 'application/x-www-form-urlencoded' });
for (const line of values.header) {
  const [name = '', ...rest] = line.split(':');
  headers.set(name, rest.join(':').trim());
}
const connect = { ca: read(values.cacert), cert: read(values.cert), key: read(values.key) };
const answer = await fetch(positionals[0] ?? '', {
  dispatcher: new Agent({ connect }),
  ...(body === '' ? {} : { method: 'POST', body, headers: Object.fromEntries(headers) }),
});
process.stdout.write(await answer.text());
