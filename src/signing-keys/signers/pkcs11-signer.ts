import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import path from 'node:path';
import { calculateJwkThumbprint } from 'jose';
import { Problem } from '../../problem.ts';
import { rejectUnfitPublic } from '../key-material.ts';
import type { TokenAnswer, TokenCall } from './pkcs11-process.ts';
import type { TokenAddress } from './pkcs11-token.ts';
import { faultOf, generateMs, referenceOf, signerFailure } from './signer.ts';
import type { FoundKey, KeptKey, Signer, WantedKey } from './signer.ts';

interface Settings extends TokenAddress {
  timeoutMs: number;
}

const program = path.resolve(import.meta.dirname, 'pkcs11-process.ts');

/** Between two attempts to open a token that is away. */
const retryMs = 500;

/** How long the library may take to end its sessions with the token. */
const farewellMs = 1000;

/**
 * What says that the token or our sessions with it are gone (PKCS #11 v3.0 §5.1), handles that are void included. All
 * else is about what was asked: a key that is not there, a mechanism that the token has not.
 */
const loss =
  /CKR_(?:CRYPTOKI|DEVICE|FUNCTION_(?:CANCELED|FAILED)|GENERAL|HOST|(?:KEY|OBJECT)_HANDLE|OPERATION_(?:ACTIVE|NOT)|SESSION|SLOT|TOKEN|USER|VENDOR)/;

/**
 * Signs in an HSM, by its PKCS #11 library. The library runs in a process of its own: its calls block. One that hangs,
 * crashes or has lost its token is asked no more, ended with its last answer and started anew, while the server answers
 * other requests.
 */
export function createPkcs11Signer({ timeoutMs, ...address }: Settings): Signer {
  const holder = createHolder(address, timeoutMs);
  return {
    async generate(algorithm) {
      const made = (await holder.ask({ call: 'generate', algorithm }, generateMs)) as FoundKey;
      return asKept(made, algorithm);
    },
    async adopt(wanted) {
      const found = (await holder
        .ask({ call: 'adopt', wanted }, generateMs)
        .catch(asRefusal)) as FoundKey;
      rejectUnfitPublic(found.publicJwk, wanted.algorithm);
      return asKept(found, wanted.algorithm);
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
    close: () => holder.close(),
  };
}

async function asKept(found: FoundKey, algorithm: WantedKey['algorithm']): Promise<KeptKey> {
  const kid = await calculateJwkThumbprint(found.publicJwk);
  return { ...found, kid, algorithm, signer: 'pkcs11' };
}

/** That a key is not as it should be does not pass by itself. */
function asRefusal(error: unknown): never {
  if (!(error instanceof Problem) || faultOf(error) !== 'refused') throw error;
  const detail = (error.detail ?? '').replace('refused: ', '');
  throw new Problem('signing_key_invalid', { detail });
}

/** Keeps a process that holds the token, and asks it. */
function createHolder(address: TokenAddress, timeoutMs: number) {
  let current: Promise<Talk> | undefined;
  let youngest: Talk | undefined;
  let triedAt = -Infinity;
  let refusal: unknown;
  let isLockedOut = false;

  async function open(): Promise<Talk> {
    const talk = startTalk();
    youngest = talk;
    try {
      await talk.ask({ call: 'open', address }, generateMs);
      refusal = undefined;
      return talk;
    } catch (error) {
      talk.kill();
      refusal = error;
      // A token that is told a wrong PIN time and again locks itself, for everybody.
      isLockedOut = error instanceof Error && error.message.includes('CKR_PIN_');
      throw error;
    }
  }

  function forget(talking: Promise<Talk>): void {
    if (current === talking) current = undefined;
  }

  function opened(): Promise<Talk> {
    if (current !== undefined) return current;
    const isTooSoon = performance.now() - triedAt < retryMs;
    if (refusal !== undefined && (isLockedOut || isTooSoon)) {
      return Promise.reject(awayFailure(isLockedOut, refusal));
    }
    triedAt = performance.now();
    const opening = open();
    current = opening;
    // Also when the process dies while nobody asks it: the next signature is not to fail for that.
    const end = opening.then((talk) => talk.over).catch(() => undefined);
    void end.then(() => {
      forget(opening);
    });
    return opening;
  }

  async function askOnce(question: TokenCall, patienceMs: number): Promise<unknown> {
    const talking = opened();
    const talk = await within(talking, timeoutMs);
    try {
      return await talk.ask(question, patienceMs);
    } catch (error) {
      if (faultOf(error) !== 'refused') {
        // Sessions and handles of a token that was taken away are void when it is back.
        forget(talking);
        talk.retire();
      }
      throw error;
    }
  }

  return {
    ask: askedAgain(askOnce),
    async close() {
      const closing = current?.then((talk) => talk.close()).catch(() => undefined);
      current = undefined;
      // One that hangs while it opens does not see that its channel ended.
      await within(closing ?? Promise.resolve(), farewellMs * 2).catch(() => youngest?.kill());
    },
  };
}

/** A process that holds the token, and what is asked of it. */
interface Talk {
  ask(question: TokenCall, patienceMs: number): Promise<unknown>;
  /** Ends it when all that it was asked is answered or out of time; it is to be asked no more. */
  retire(): void;
  /** Lets it take leave of the token. */
  close(): Promise<void>;
  kill(): void;
  /** Resolves when the process has ended. */
  over: Promise<void>;
}

function startTalk(): Talk {
  const child = fork(program, { execArgv: [], serialization: 'advanced', stdio: 'ignore' });
  const asked = new Map<number, (reply: TokenAnswer) => void>();
  let count = 0;
  let isRetired = false;
  // Neither keeps a process alive that has nothing else to do.
  child.unref();
  child.channel?.unref();
  child.on('message', (message) => {
    const reply = message as TokenAnswer;
    asked.get(reply.id)?.(reply);
  });
  const over = endOf(child).then(() => {
    for (const [id, settle] of asked) settle({ id, ok: false, reason: lost });
  });

  function kill(): void {
    child.kill('SIGKILL');
  }

  /** Called after each answer. */
  function rest(): void {
    if (asked.size > 0) return;
    child.channel?.unref();
    if (isRetired) kill();
  }

  return {
    ...{ over, kill },
    ask(question, patienceMs) {
      const id = (count += 1);
      return new Promise((resolve, reject) => {
        child.channel?.ref();
        const late = `no answer in ${String(patienceMs)} ms`;
        const timer = setTimeout(() => {
          settle(signerFailure('timeout', late));
        }, patienceMs);
        function settle(failure: Error | undefined, value?: unknown): void {
          clearTimeout(timer);
          asked.delete(id);
          rest();
          if (failure === undefined) resolve(value);
          else reject(failure);
        }
        asked.set(id, (reply) => {
          if (reply.ok) settle(undefined, reply.value);
          else settle(failureFor(question, reply.reason));
        });
        send(child, { id, ...question }, settle);
      });
    },
    retire() {
      isRetired = true;
      rest();
    },
    async close() {
      child.ref();
      if (child.connected) child.disconnect();
      await within(over, farewellMs).catch(kill);
      await over;
    },
  };
}

function endOf(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    const onEnd = (): void => {
      resolve();
    };
    child.once('exit', onEnd).on('error', onEnd);
  });
}

const lost = 'its process ended';

type Ask = (question: TokenCall, patienceMs: number) => Promise<unknown>;

/** A signature may be asked for twice: that a library crashed is no reason to refuse it. */
function askedAgain(askOnce: Ask): Ask {
  return async function ask(question, patienceMs) {
    try {
      return await askOnce(question, patienceMs);
    } catch (error) {
      const hasDied = error instanceof Problem && error.detail?.endsWith(lost) === true;
      if (!hasDied || question.call !== 'sign') throw error;
      return askOnce(question, patienceMs);
    }
  };
}

function awayFailure(isLockedOut: boolean, cause: unknown): Problem {
  const reason = isLockedOut ? 'it refused the PIN; start anew with the right one' : 'away';
  return signerFailure('unavailable', `the token: ${reason}`, cause);
}

/** A token that does not open is away, whatever it says. */
function failureFor({ call }: TokenCall, reason: string): Problem {
  const isLoss = call === 'open' || reason === lost || loss.test(reason);
  return signerFailure(isLoss ? 'unavailable' : 'refused', reason);
}

function send(child: ChildProcess, message: object, onFailure: (failure: Error) => void): void {
  if (!child.connected) {
    onFailure(signerFailure('unavailable', lost));
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
      reject(signerFailure('timeout', 'the token is slow'));
    }, patienceMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
