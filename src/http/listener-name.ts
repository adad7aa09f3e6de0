import type { IncomingMessage } from 'node:http';
import type { Server, Socket } from 'node:net';
import type { RequestContext } from '../observability/request-context.ts';
import { createNotes } from '../observability/request-notes.ts';

/** The two doors: `public` for browsers and clients with keys or secrets, `mtls` for clients with certificates. */
export type ListenerName = RequestContext['listener'];

const names = new WeakMap<Socket, ListenerName>();

/** Remembers for every connection of `server` through which door it came. To be called before the server listens. */
export function nameListener(server: Server, name: ListenerName): void {
  const remember = (socket: Socket): void => {
    names.set(socket, name);
  };
  // Before Node's own handler, which may read a request from the socket at once.
  server.prependListener('connection', remember);
  server.prependListener('secureConnection', remember);
}

const doors = createNotes<Pick<IncomingMessage, 'socket'>, ListenerName>();

/** Says for which door a request is that a proxy brought: its connection tells of the proxy only. */
export function nameDoor(request: Pick<IncomingMessage, 'socket'>, name: ListenerName): void {
  doors.set(request, name);
}

/** The door of a request; undefined when its server was never named. */
export function listenerOf(request: Pick<IncomingMessage, 'socket'>): ListenerName | undefined {
  return doors.of(request) ?? names.get(request.socket);
}
