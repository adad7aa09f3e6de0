import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import type { PublicJwk } from '../key-ring.ts';
import type { TokenAnswer, TokenCall } from './pkcs11-process.ts';
import type { TokenAddress } from './pkcs11-token.ts';
import { generateMs, referenceOf, signerFailure } from './signer.ts';
import type { Signer } from './signer.ts';

interface Settings extends TokenAddress {
  timeoutMs: number;
}

const program = path.resolve(import.meta.dirname, 'pkcs11-process.ts');

/** Between two attempts to open a token that is away. */
const retryMs = 500;

/**
 * Signs in an HSM, by its PKCS #11 library. The library runs in a process of its own: its calls block, and one that hangs,
 * crashes or has lost its token is ended and started anew, while the server answers other requests.
 */
export function createPkcs11Signer({ timeoutMs, ...address }: Settings): Signer {
  const holder = createHolder(address, timeoutMs);
  return {
    async generate(algorithm) {
      const made = (await holder.ask({ call: 'generate', algorithm }, generateMs)) as {
        publicJwk: PublicJwk;
        reference: string;
      };
      const kid = await calculateJwkThumbprint(made.publicJwk);
      return { ...made, kid, algorithm, signer: 'pkcs11' };
    },
    open(key) {
      const tokenKey = { algorithm: key.algorithm, reference: referenceOf(key) };
      return async (data) => {
        const signature = await holder.ask({ call: 'sign', key: tokenKey, data }, timeoutMs);
        return Buffer.from(signature as Uint8Array);
      };
    },
    async discard({ algorithm, reference }) {
      await holder.ask({ call: 'discard', key: { algorithm, reference } }, timeoutMs);
    },
    close() {
      holder.end();
      return Promise.resolve();
    },
  };
}

/** Keeps a process that holds the token, and asks it. */
function createHolder(address: TokenAddress, timeoutMs: number) {
  let current: Promise<Talk> | undefined;
  let triedAt = -Infinity;
  let refusal: unknown;
  let isLockedOut = false;

  async function open(): Promise<Talk> {
    const talk = startTalk();
    try {
      await talk.ask({ call: 'open', address }, generateMs);
      refusal = undefined;
      return talk;
    } catch (error) {
      talk.end();
      refusal = error;
      // A token that is told a wrong PIN time and again locks itself, for everybody.
      isLockedOut = error instanceof Error && error.message.includes('CKR_PIN_');
      throw error;
    }
  }

  function opened(): Promise<Talk> {
    if (current !== undefined) return current;
    const isTooSoon = performance.now() - triedAt < retryMs;
    if (refusal !== undefined && (isLockedOut || isTooSoon)) {
      const reason = isLockedOut ? 'it refused the PIN; start anew with the right one' : 'away';
      return Promise.reject(signerFailure('unavailable', `the token: ${reason}`, refusal));
    }
    triedAt = performance.now();
    const opening = open();
    current = opening;
    opening.catch(() => {
      if (current === opening) current = undefined;
    });
    return opening;
  }

  return {
    async ask(question: TokenCall, patienceMs: number): Promise<unknown> {
      const talking = opened();
      const talk = await within(talking, timeoutMs);
      try {
        return await talk.ask(question, patienceMs);
      } catch (error) {
        // Sessions and handles of a token that was taken away are void when it is back.
        if (current === talking) current = undefined;
        talk.end();
        throw error;
      }
    },
    end() {
      current?.then(
        (talk) => {
          talk.end();
        },
        () => undefined,
      );
      current = undefined;
    },
  };
}

/** A process that holds the token, and what is asked of it. */
interface Talk {
  ask(question: TokenCall, patienceMs: number): Promise<unknown>;
  end(): void;
}

function startTalk(): Talk {
  const child = fork(program, { execArgv: [], serialization: 'advanced', stdio: 'ignore' });
  const asked = new Map<number, (reply: TokenAnswer) => void>();
  let count = 0;
  // Neither keeps a process alive that has nothing else to do.
  child.unref();
  child.channel?.unref();
  child.on('message', (message) => {
    const reply = message as TokenAnswer;
    asked.get(reply.id)?.(reply);
  });
  const onLost = (): void => {
    for (const [id, settle] of asked) settle({ id, ok: false, reason: 'its process ended' });
  };
  child.on('exit', onLost).on('error', onLost);

  return {
    ask(question, patienceMs) {
      const id = (count += 1);
      return new Promise((resolve, reject) => {
        child.channel?.ref();
        const timer = setTimeout(() => {
          settle(signerFailure('timeout', `no answer in ${String(patienceMs)} ms`));
        }, patienceMs);
        function settle(failure: Error | undefined, value?: unknown): void {
          clearTimeout(timer);
          asked.delete(id);
          if (asked.size === 0) child.channel?.unref();
          if (failure === undefined) resolve(value);
          else reject(failure);
        }
        asked.set(id, (reply) => {
          if (reply.ok) settle(undefined, reply.value);
          else settle(signerFailure('unavailable', reply.reason));
        });
        send(child, { id, ...question }, settle);
      });
    },
    end() {
      child.kill('SIGKILL');
      onLost();
    },
  };
}

function send(child: ChildProcess, message: object, onFailure: (failure: Error) => void): void {
  if (!child.connected) {
    onFailure(signerFailure('unavailable', 'its process ended'));
    return;
  }
  child.send(message, (error) => {
    if (error !== null) onFailure(signerFailure('unavailable', error.message, error));
  });
}

async function within<T>(work: Promise<T>, patienceMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(signerFailure('timeout', 'the token does not open'));
    }, patienceMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
