import { openToken } from './pkcs11-token.ts';
import type { Token, TokenAddress, TokenKey } from './pkcs11-token.ts';
import type { SigningAlgorithm } from '../key-ring.ts';
import type { WantedKey } from './signer.ts';

/** What the server asks of the process that holds the token. */
export type TokenCall =
  | { call: 'open'; address: TokenAddress }
  | { call: 'generate'; algorithm: SigningAlgorithm }
  | { call: 'adopt'; wanted: WantedKey }
  | { call: 'sign'; key: TokenKey; data: Uint8Array }
  | { call: 'discard'; key: TokenKey };

/** Its answer, and the number of the question. */
export type TokenAnswer = { id: number } & (
  { ok: true; value: unknown } | { ok: false; reason: string }
);

let token: Token | undefined;

function opened(): Token {
  if (token === undefined) throw new Error('the token is not open');
  return token;
}

function answer(question: TokenCall): unknown {
  switch (question.call) {
    case 'open':
      token = openToken(question.address);
      return null;
    case 'generate':
      return opened().generate(question.algorithm);
    case 'adopt':
      return opened().adopt(question.wanted);
    case 'sign':
      return opened().sign(question.key, Buffer.from(question.data));
    case 'discard':
      opened().discard(question.key);
      return null;
  }
}

process.on('message', (message) => {
  const { id, ...question } = message as TokenCall & { id: number };
  void (async () => {
    let reply: TokenAnswer;
    try {
      reply = { id, ok: true, value: await answer(question) };
    } catch (error) {
      reply = { id, ok: false, reason: error instanceof Error ? error.message : String(error) };
    }
    process.send?.(reply);
  })();
});

// The server says when it is over; a terminal's signal reaches both of us.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
process.once('disconnect', () => {
  token?.close();
});
