import type { IncomingMessage } from 'node:http';
import { createNotes } from '../observability/request-notes.ts';
import type { CertificateSource } from './certificate-source.ts';

/** A certificate source whose truststore can be exchanged while requests are under way. */
export interface RenewableCertificateSource extends CertificateSource {
  /** Requests that arrive from now on are judged by these authorities (PEM); those under way by the ones before. */
  replaceTruststore(clientTruststore: string): void;
}

/** The source that `build` makes for a truststore, made anew for each. */
export function createRenewableCertificateSource(
  build: (clientTruststore: string) => CertificateSource,
  clientTruststore: string,
): RenewableCertificateSource {
  let current = build(clientTruststore);
  const received = createNotes<IncomingMessage, CertificateSource>();
  const sourceOf = (request: IncomingMessage) => received.of(request) ?? current;

  return {
    receive(request) {
      received.set(request, current);
      return current.receive(request);
    },
    prepare: (request, listener) => sourceOf(request).prepare(request, listener),
    of: (request) => sourceOf(request).of(request),
    replaceTruststore(next) {
      current = build(next);
    },
  };
}
