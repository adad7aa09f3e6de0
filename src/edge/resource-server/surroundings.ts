/** The world around the package, where its options say nothing else: the machine's clock and Node's `fetch`. */
export const surroundings = {
  now: (): Date => new Date(),
  fetch: (url: string, init: RequestInit): Promise<Response> => globalThis.fetch(url, init),
};
