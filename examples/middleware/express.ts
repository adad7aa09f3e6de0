import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AccessToken } from 'countersign/resource-server';
import { createResourceServer } from 'countersign/resource-server';
import express from 'express';

const [, , issuer = '', audience = '', port = '3451', keys = 'keys'] = process.argv;
const api = createResourceServer({ issuer, audience, onError: console.error });

const app = express();
app.get('/accounts', api.express({ scope: 'accounts' }), (_request, response) => {
  const { subject, clientId } = response.locals['token'] as AccessToken;
  response.json({ accounts: [], subject, clientId });
});

const read = (name: string) => readFileSync(`${keys}/${name}`);
const tls = { key: read('server.key'), cert: read('server.crt') };
const asking = { requestCert: true, rejectUnauthorized: false };
createServer({ ...tls, ...asking }, app)
  .listen(Number(port), 'localhost')
  .once('listening', () => {
    console.log('listening');
  });
