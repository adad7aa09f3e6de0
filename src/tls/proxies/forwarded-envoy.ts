import { createHash } from 'node:crypto';
import { dersOfPem, percentDecoded, unreadable } from './forwarded-encoding.ts';
import type { ForwardedCertificate } from './forwarded-encoding.ts';

type Pair = readonly [key: string, value: string];

/**
 * Reads Envoy's `x-forwarded-client-cert`: elements separated by commas, one for each proxy that
 * appended, of pairs separated by semicolons. There must be exactly as many as `hops`: one more and
 * somebody in front of the first proxy wrote it, one less and a proxy was passed by. The first one
 * is about the client, those behind it about the proxies between. Problem('invalid_request').
 */
export function readEnvoy(value: string, hops: number): ForwardedCertificate {
  const elements = splitOutsideQuotes(value, ',').map(pairsOf);
  const [client] = elements;
  if (client === undefined || elements.length !== hops) {
    throw unreadable(`${String(elements.length)} elements, where ${String(hops)} are expected`);
  }
  const [leaf, second] = dersOfPem(percentDecoded(required(client, 'cert')));
  if (leaf === undefined || second !== undefined) throw unreadable('Cert is not one certificate');
  rejectOtherHash(leaf, only(client, 'hash'));
  const chain = dersOfPem(percentDecoded(only(client, 'chain') ?? ''));
  return { leaf, chain: chain.filter((der) => !der.equals(leaf)) };
}

const hash = /^[\da-f]{64}$/i;

/** Two members of one element that speak of different certificates are two hands at work. */
function rejectOtherHash(leaf: Buffer, claimed: string | undefined): void {
  if (claimed === undefined) return;
  const actual = createHash('sha256').update(leaf).digest('hex');
  if (!hash.test(claimed) || claimed.toLowerCase() !== actual) {
    throw unreadable('Hash is not that of Cert');
  }
}

function required(pairs: readonly Pair[], key: string): string {
  const value = only(pairs, key);
  if (value === undefined || value === '') {
    throw unreadable('the element has no Cert: set_current_client_cert_details needs cert: true');
  }
  return value;
}

function only(pairs: readonly Pair[], key: string): string | undefined {
  const found = pairs.filter(([name]) => name === key);
  if (found.length > 1) throw unreadable(`${key} is there twice`);
  return found[0]?.[1];
}

function pairsOf(element: string): Pair[] {
  return splitOutsideQuotes(element, ';').map((pair) => {
    const [, key, quoted, plain] = pairPattern.exec(pair) ?? [];
    if (key === undefined) throw unreadable('a pair of the element is malformed');
    return [key.toLowerCase(), quoted?.replaceAll(/\\(.)/g, '$1') ?? plain ?? ''];
  });
}

const pairPattern = /^([a-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;=\\]*))$/i;

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let index = 0; index < text.length; index++) {
    const character = text[index];
    if (character === '\\' && isQuoted) index++;
    else if (character === '"') isQuoted = !isQuoted;
    else if (character === separator && !isQuoted) {
      parts.push(text.slice(start, index).trim());
      start = index + 1;
    }
  }
  if (isQuoted) throw unreadable('a quotation mark is not closed');
  return [...parts, text.slice(start).trim()];
}
