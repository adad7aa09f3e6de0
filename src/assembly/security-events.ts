import { randomInt } from 'node:crypto';
import type Koa from 'koa';
import { bounds } from '../bounds.ts';
import { createDelivery } from '../security-events/delivery.ts';
import { createOutbox } from '../security-events/outbox-store.ts';
import { createPollApi } from '../security-events/poll-api.ts';
import { createPolls } from '../security-events/poll.ts';
import { createPush } from '../security-events/push.ts';
import { createReceiverMetadata } from '../security-events/receiver-metadata-api.ts';
import { createClientAccess } from '../security/client-access.ts';
import { createEncryption } from '../security/encryption.ts';
import { createOutboundFetch } from '../security/outbound-fetch.ts';
import { clientTokens } from './client-tokens.ts';
import type { Parts } from './parts.ts';
import { createServerAuthentication } from './resource-server-authentication.ts';
import type { AppDependencies, AppSettings } from './settings.ts';

/** As many as there may be events on their way: one that waited for a connection would use up its receiver's time. */
const keptConnections = 128;

/** How receivers are told of changes to consents: the work in the background, and the endpoint to poll. */
export function createSecurityEvents(
  settings: AppSettings,
  deps: AppDependencies & Pick<Parts, 'storage' | 'engine' | 'certificates' | 'limits'>,
) {
  const { issuer, events, consents, outbound } = settings;
  const { storage, engine, certificates, changes, metrics, logger } = deps;
  const { audit, eventStreams: streams } = storage;
  const encryption = createEncryption(settings.encryptionKeys);
  const outbox = createOutbox({ sql: deps.database.sql, encryption });
  const sign: typeof engine.sign = (message) => engine.sign(message);
  const { timeoutMs, pollWaitMs: waitMs } = events;
  const fetch = createOutboundFetch({
    ...outbound,
    ...{ timeoutMs, keptConnections },
    maxBodyBytes: bounds.answers.maxReceiverBytes,
  });
  const delivery = createDelivery({
    ...{ outbox, push: createPush({ issuer, sign, fetch, outbox }) },
    ...{ changes, limits: events, metrics, audit, logger },
    random: () => randomInt(1000) / 1000,
  });
  const polls = createPolls({
    ...{ issuer, streams, outbox, sign, changes, waitMs, metrics, audit },
  });
  const findClientToken = clientTokens(settings, deps);
  const answerPolls = createPollApi({
    ...{ polls, audit },
    authorize: createClientAccess({ findClientToken, resource: consents.resource }),
    authenticate: createServerAuthentication(storage, certificates),
    certificateOf: (request) => certificates.of(request),
  });
  const answerMetadata = createReceiverMetadata(issuer);
  const middleware: Koa.Middleware = (ctx, next) =>
    answerMetadata(ctx, () => answerPolls(ctx, next) as Promise<void>) as Promise<void>;
  return {
    middleware,
    start() {
      delivery.start();
    },
    /** Answers who waits for an event: a server that stops has none. */
    release() {
      polls.release();
    },
    stop: () => delivery.stop(),
  };
}
