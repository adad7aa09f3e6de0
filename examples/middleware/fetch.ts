import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import { TLSSocket } from 'node:tls';
import { createResourceServer } from 'countersign/resource-server';

const [, , issuer = '', audience = '', port = '3451', keys = 'keys'] = process.argv;
const api = createResourceServer({ issuer, audience, onError: console.error });

const handle = api.fetch({ scope: 'accounts' }, (_request, { subject, clientId }) =>
  Response.json({ accounts: [], subject, clientId }),
);

// Node has no fetch server of its own: this is what a platform with one does.
const read = (name: string) => readFileSync(`${keys}/${name}`);
const tls = { key: read('server.key'), cert: read('server.crt') };
const asking = { requestCert: true, rejectUnauthorized: false };
createServer(
  { ...tls, ...asking },
  ({ method = '', url = '', headersDistinct, socket }, response) => {
    const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
    // All lines of each header: what came twice must not be taken for one.
    const lines = Object.entries(headersDistinct).flatMap(([name, values = []]) =>
      values.map((value): [string, string] => [name, value]),
    );
    const request = new Request(audience + url, { method, headers: lines });
    void handle(request, { certificate }).then(async ({ status, headers, body }) => {
      response.writeHead(status, Object.fromEntries(headers)).end(await new Response(body).text());
    });
  },
)
  .listen(Number(port), 'localhost')
  .once('listening', () => {
    console.log('listening');
  });
