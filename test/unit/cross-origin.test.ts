import { describe, expect, it } from 'vitest';
import { refuseStrangeOrigins } from '../../src/http/cross-origin.ts';
import { problemResponse } from '../../src/http/problem-response.ts';
import { Problem } from '../../src/problem.ts';
import { serveSteps } from '../support/http-server.ts';
import { recordingLogger } from '../support/recording-logger.ts';

/** The headers about scripts that `origin` gets while the endpoint fails. */
async function toldOfFailure(origin: string): Promise<string[]> {
  await using server = await serveSteps([
    problemResponse({
      logger: recordingLogger().logger,
      renderErrorPage: () => 'page',
      isDatabaseUnavailable: () => false,
    }),
    refuseStrangeOrigins({
      endpoints: { '/token': 'browser' },
      isKnown: (asked) => Promise.resolve(asked === 'https://spa.example.com'),
    }),
    (ctx) => {
      ctx.set('Access-Control-Allow-Origin', origin);
      ctx.set('Access-Control-Expose-Headers', 'Retry-After');
      throw new Problem('signer_unavailable');
    },
  ]);
  const answer = await server.send('/token', { method: 'POST', headers: { origin } });
  expect(answer.status).toBe(503);
  return Object.keys(answer.headers).filter((name) => name.startsWith('access-control-'));
}

describe('What fails', () => {
  it('is told to scripts of clients, and to no others', async () => {
    expect(await toldOfFailure('https://evil.example')).toEqual([]);
    expect(await toldOfFailure('https://spa.example.com')).toHaveLength(2);
  });
});
