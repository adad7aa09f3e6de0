import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AccessToken } from 'countersign/resource-server';
import { createResourceServer } from 'countersign/resource-server';
import Koa from 'koa';

const [, , issuer = '', audience = '', port = '3451', keys = 'keys'] = process.argv;
const api = createResourceServer({ issuer, audience, onError: console.error });

const app = new Koa();
app.use(api.koa({ scope: 'accounts' }));
app.use((ctx) => {
  const { subject, clientId } = ctx.state['token'] as AccessToken;
  ctx.body = { accounts: [], subject, clientId };
});

const read = (name: string) => readFileSync(`${keys}/${name}`);
const tls = { key: read('server.key'), cert: read('server.crt') };
const asking = { requestCert: true, rejectUnauthorized: false };
const handle = app.callback();
createServer({ ...tls, ...asking }, (request, response) => void handle(request, response))
  .listen(Number(port), 'localhost')
  .once('listening', () => {
    console.log('listening');
  });
