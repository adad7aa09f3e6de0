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
    user: { type: 'string', short: 'u' },
    request: { type: 'string', short: 'X' },
    include: { type: 'boolean', short: 'i' },
    silent: { type: 'boolean', short: 's' },
    'show-error': { type: 'boolean', short: 'S' },
  },
});

const read = (name: string | undefined) => (name === undefined ? '' : readFileSync(name));
const body = values.data
  .map((text) => (text.startsWith('@') ? readFileSync(text.slice(1), 'utf8') : text))
  .join('&');
const form = { 'content-type': 'application/x-www-form-urlencoded' };
const headers = new Headers(body === '' ? {} : form);
if (values.user !== undefined) {
  headers.set('authorization', `Basic ${Buffer.from(values.user).toString('base64')}`);
}
for (const line of values.header) {
  const [name = '', ...rest] = line.split(':');
  headers.set(name, rest.join(':').trim());
}
const connect = { ca: read(values.cacert), cert: read(values.cert), key: read(values.key) };
const answer = await fetch(positionals[0] ?? '', {
  dispatcher: new Agent({ connect }),
  headers: Object.fromEntries(headers),
  method: values.request ?? (body === '' ? 'GET' : 'POST'),
  ...(body === '' ? {} : { body }),
});
if (values.include === true) {
  const lines = [...answer.headers].map(([name, value]) => `${name}: ${value}`);
  process.stdout.write(`HTTP/1.1 ${String(answer.status)}\r\n${lines.join('\r\n')}\r\n\r\n`);
}
process.stdout.write(await answer.text());
