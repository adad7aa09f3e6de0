import { X509Certificate } from 'node:crypto';
import type { Clock } from '../../src/clock.ts';
import type { IssuedCertificate } from '../../src/development/certificate-authority.ts';
import { createOutboundFetch } from '../../src/security/outbound-fetch.ts';
import { createRevocation } from '../../src/tls/revocation/revocation.ts';
import type { RevocationService, RevocationSettings } from '../../src/tls/revocation/revocation.ts';
import { clientCertificate, createTestCertificates } from './certificates.ts';
import type { TestCertificates } from './certificates.ts';
import { recordingLogger } from './recording-logger.ts';
import type { RecordingLogger } from './recording-logger.ts';
import { hoursFromNow, namesLists, revocationList, startRevocationServer } from './revocation.ts';
import type { ListOptions, RevocationServer } from './revocation.ts';

/** What a test may vary of the settings; lists and responders that certificates name are asked unless told. */
export interface RevocationVariation {
  mode?: RevocationSettings['mode'];
  methods?: RevocationSettings['methods'];
  acceptWithoutSource?: boolean;
  files?: string[];
  urls?: string[];
  responderUrl?: string;
  fromCertificates?: boolean;
  authorities?: IssuedCertificate[];
  allowedHosts?: string[];
  maxBodyBytes?: number;
}

/** An authority, its web server and a clock that a test moves. */
export interface RevocationWorld {
  readonly certificates: TestCertificates;
  readonly server: RevocationServer;
  readonly log: RecordingLogger;
  /** Outcomes of checks and methods that failed, in their order. */
  readonly outcomes: string[];
  readonly failures: string[];
  /** Moves the clock that many hours past the start. */
  moveTo(hours: number): void;
  revocationWith(variation?: RevocationVariation): RevocationService;
  /** A client whose certificate names the list at `/list`. */
  listedClient(): Promise<IssuedCertificate>;
  /** Serves a list of the authority at `/list`. */
  serveList(options?: ListOptions): Promise<void>;
}

export async function createRevocationWorld(): Promise<RevocationWorld> {
  const certificates = await createTestCertificates();
  const server = await startRevocationServer();
  const log = recordingLogger();
  const outcomes: string[] = [];
  const failures: string[] = [];
  let hours = 0;
  const clock: Clock = { now: () => hoursFromNow(hours) };
  return {
    ...{ certificates, server, log, outcomes, failures },
    moveTo(moment) {
      hours = moment;
    },
    revocationWith: (variation = {}) =>
      createRevocation(settingsWith(variation), {
        clock,
        logger: log.logger,
        authorities: (variation.authorities ?? [certificates.authority]).map(x509),
        fetch: createOutboundFetch({
          allowedHosts: variation.allowedHosts ?? [server.host],
          truststorePem: undefined,
          timeoutMs: 2000,
          maxBodyBytes: variation.maxBodyBytes ?? 1_000_000,
          plainHttp: true,
        }),
        onOutcome: (outcome) => outcomes.push(outcome),
        onFailure: (method) => failures.push(method),
      }),
    listedClient: () =>
      clientCertificate(certificates.authority, { extensions: [namesLists(server.url('/list'))] }),
    async serveList(options = {}) {
      server.documents.set('/list', await revocationList(certificates.authority, options));
    },
  };
}

/** The certificate as the server sees it. */
export function x509({ certificatePem }: IssuedCertificate): X509Certificate {
  return new X509Certificate(certificatePem);
}

function settingsWith(variation: RevocationVariation): RevocationSettings {
  const { files = [], urls = [], fromCertificates = true } = variation;
  const shared = { fromCertificates, floorSeconds: 60, ceilingSeconds: 3600 };
  return {
    mode: variation.mode ?? 'closed',
    methods: variation.methods ?? ['ocsp', 'crl'],
    acceptWithoutSource: variation.acceptWithoutSource ?? false,
    lists: { ...shared, files, urls },
    ocsp: { ...shared, responderUrl: variation.responderUrl },
  };
}
