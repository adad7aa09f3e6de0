import { describe, expect, it } from 'vitest';
import { gateway } from '../../support/edge.ts';
import { machineToken } from './access-tokens.ts';
import { expectAskedAbout } from './edge-expectations.ts';
import type { Suite } from './edge-expectations.ts';

const { host } = new URL(gateway);

const tricks = [
  ...['//accounts', '/accounts/', '/Accounts', '/./accounts', '/files/../accounts'],
  ...['/files//a', '/files/%2e%2e/accounts', '/files/%2E./a', '/files/..%2faccounts'],
  ...['/accounts;x=1', '/files;/a', '/files/a;b', '/files/a%3bb', '/files/%5c', '/files/a\\b'],
  ...['/files/%252e%252e/a', '/files/%00', '/files/%0d%0aX:%20y', '/%61ccounts', '/accounts%20'],
  ...['/accounts%2f', '/accounts#x', '/files/%ff', '/files/...', 'https://x.example/admin'],
  ...['/accounts/.', '/files/..', '/files/a/../../admin', '/files\\..\\admin', '/../accounts'],
  ...['/accounts%3fx', '/accounts%23x', '/files/%c0%ae%c0%ae/a', '/files/\u00e9', '/files/%2'],
  ...['/files/..;/accounts', '/files/%2e%2e%2fadmin', '/accounts%09', '*', 'accounts', '?x', ''],
  ...['/edge/verify/../../accounts', `https://${host}/admin`, `https://${host}//accounts`],
  ...['http:/accounts', '///accounts', '/files/%2F', '/files/%7E', '/%2561ccounts'],
];

/** Paths that servers read differently: what the API gets, Countersign was asked about in the same form. */
export function describePaths({ name, differences, world }: Suite): void {
  const ask = async (target: string) => {
    const { ask: askAt, heard, server } = world();
    return askAt({ token: await machineToken(server, 'tpp'), target, at: heard.port });
  };

  describe(`${name}, asked for a path that can be read in two ways,`, () => {
    it.each(tricks.filter((target) => differences.normalises[target] === undefined))(
      'refuses it: "%s"',
      async (target) => {
        const { status } = await ask(target);
        const refusals = [403, ...differences.refusals];
        expect([target, status, refusals.includes(status)]).toEqual([target, status, true]);
        expect(world().api.passed).toEqual([]);
      },
    );

    it.each(Object.entries(differences.normalises))(
      'asks about "%s" in the form in which it passes it on: "%s"',
      async (target, plain) => {
        const { api, witness } = world();
        expect([target, (await ask(target)).status]).toEqual([target, 200]);
        expect(witness.asked).toEqual([`GET ${plain}`]);
        expect(api.passed.map(({ request }) => request)).toEqual([`GET ${plain}`]);
      },
    );

    it.each([
      '/accounts?a=1;b=2',
      '/accounts?',
      '/files/a/',
      '/accounts?x=/../&y=%2e%2f',
      '/files/a%20b',
      '/files/%C3%A9',
    ])('passes on what can not: "%s"', async (target) => {
      const { api } = world();
      expect((await ask(target)).status).toBe(200);
      expect(api.passed).toHaveLength(1);
      expectAskedAbout(world());
    });
  });
}
