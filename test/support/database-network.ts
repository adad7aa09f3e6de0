import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { TestDatabase } from './database.ts';

/** A network between servers and their database that can be slow or fail. */
export interface DatabaseNetwork {
  /** A connection string that leads through it. */
  connectionString: string;
  /** Every message waits this many milliseconds, asked anew for each. */
  delay(milliseconds: () => number): void;
  /** Connections break, and new ones are refused until `comeBack`. */
  goDown(): void;
  /** Connections break; new ones work. */
  cut(): void;
  comeBack(): void;
  close(): Promise<void>;
}

/** A TCP proxy in front of the run's database server. */
export async function databaseNetwork({
  host,
  port,
  user,
  database,
}: TestDatabase['connection']): Promise<DatabaseNetwork> {
  const sockets = new Set<Socket>();
  let isUp = true;
  let delay = () => 0;

  /** In order, each message after its own wait; what breaks is the socket's own affair. */
  function carry(from: Socket, to: Socket): void {
    let last: Promise<unknown> = Promise.resolve();
    from.on('data', (bytes) => {
      const arrival = wait(delay(), undefined, { ref: false });
      last = last.then(() => arrival).then(() => to.destroyed || to.write(bytes));
    });
    from.on('error', () => undefined);
    from.on('close', () => {
      sockets.delete(from);
      to.destroy();
    });
  }

  const proxy = createServer({ noDelay: true }, (client) => {
    if (!isUp) {
      client.destroy();
      return;
    }
    const server = createConnection(`${host}/.s.PGSQL.${String(port)}`);
    for (const socket of [client, server]) sockets.add(socket);
    carry(client, server);
    carry(server, client);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const { port: ownPort } = proxy.address() as AddressInfo;

  function cut(): void {
    for (const socket of sockets) socket.destroy();
  }

  return {
    connectionString: `postgresql://${user}@127.0.0.1:${String(ownPort)}/${database}`,
    delay(milliseconds) {
      delay = milliseconds;
    },
    goDown() {
      isUp = false;
      cut();
    },
    cut,
    comeBack() {
      isUp = true;
    },
    async close() {
      cut();
      proxy.close();
      await once(proxy, 'close');
    },
  };
}
