/** From where a client's scripts may call. */
export interface ClientOrigins {
  id: string;
  /** Each once. */
  origins: readonly string[];
  /** Whether it has no secret: the only clients that are pages. */
  isBrowser: boolean;
}

/** How many clients have an origin. */
interface Owners {
  any: number;
  browser: number;
}

/** Origins by clients, and the other way round; empty at first. */
export function createOriginIndex() {
  const clients = new Map<string, ClientOrigins>();
  const owners = new Map<string, Owners>();

  function count({ origins, isBrowser }: ClientOrigins, by: 1 | -1): void {
    for (const origin of origins) {
      const { any, browser } = owners.get(origin) ?? { any: 0, browser: 0 };
      if (any + by === 0) owners.delete(origin);
      else owners.set(origin, { any: any + by, browser: browser + (isBrowser ? by : 0) });
    }
  }

  function put(client: ClientOrigins): void {
    if (client.origins.length === 0) return;
    clients.set(client.id, client);
    count(client, 1);
  }

  return {
    has: (origin: string, whose: keyof Owners): boolean => (owners.get(origin)?.[whose] ?? 0) > 0,

    /** `present` is what there is now of the clients with these ids. */
    replace(ids: readonly string[], present: readonly ClientOrigins[]): void {
      for (const id of ids) {
        const known = clients.get(id);
        if (known !== undefined) count(known, -1);
        clients.delete(id);
      }
      for (const client of present) put(client);
    },
  };
}
