import { createCallers } from './callers.ts';
import type { CallerDependencies, RoutedRequest } from './callers.ts';
import { readPath } from './canonical-path.ts';
import { presentedCredential } from './credentials.ts';
import type { Credential } from './credentials.ts';
import type { Admit, EdgeCertificate } from './edge-ports.ts';
import { identityHeaders, lookAlike } from './identity-headers.ts';
import type { Identity } from './identity-headers.ts';
import { overridingHeader, readOriginal } from './original-request.ts';
import type { OriginalRequest, ProxyRequest } from './original-request.ts';
import { denied, notAdmitted, refusedBy } from './refusals.ts';
import type { RefusedRequest } from './refusals.ts';
import { Refusal } from './resource-server/refusal.ts';
import { createRouteFinder } from './route-policy.ts';
import type { EdgePolicy, EdgeRoute } from './route-policy.ts';

/** What a proxy asks. */
export interface EdgeRequest extends ProxyRequest {
  /** Whether it is a proxy of ours: nobody else is told anything. */
  isFromProxy: boolean;
  /** Names of all headers, as they came. */
  headerNames: readonly string[];
  certificate: EdgeCertificate | undefined;
  /** Of the caller, as the proxy tells it. */
  address: string;
}

/** An admitted request. */
export interface AdmittedRequest {
  outcome: 'admitted';
  headers: Readonly<Record<string, string>>;
  /** Identity headers that have nothing to say, lower case. */
  absent: readonly string[];
}

export type Decision = AdmittedRequest | RefusedRequest;

interface Dependencies extends Omit<CallerDependencies, 'origins'> {
  policy: EdgePolicy;
  admit: Admit;
}

/** Decides about requests of a gateway's callers by the policy; what no route allows is denied. */
export function createEdge(deps: Dependencies): (request: EdgeRequest) => Promise<Decision> {
  const { policy, admit } = deps;
  const findRoute = createRouteFinder(policy);
  const recognise = createCallers({ ...deps, origins: policy.origins });

  function routed(request: EdgeRequest): Routed {
    if (!request.isFromProxy) return { fault: 'it is no authenticated proxy that asks' };
    const original = readOriginal(policy.proxy, request);
    if (original === undefined) return { fault: 'the proxy does not tell one original request' };
    const odd = overridingHeader(request.headerNames) ?? lookAlike(request.headerNames);
    if (odd !== undefined) return { fault: `the caller sent ${odd}` };
    const reading = readPath(original.target);
    if ('fault' in reading) return reading;
    const found = findRoute(original.method, reading.path);
    return 'fault' in found ? found : { original, route: found.route };
  }

  async function judge(request: RoutedRequest, credential: Credential): Promise<Decision> {
    const recognised = await recognise(request, credential);
    if ('resetSeconds' in recognised) return notAdmitted({ ...recognised, unavailable: false });
    const { identity } = recognised;
    const admission = await admit(subjectsOf(identity));
    if (!admission.allowed) return notAdmitted(admission);
    admission.succeeded();
    return { outcome: 'admitted', ...identityHeaders(identity) };
  }

  async function judgeOrRefuse(request: RoutedRequest): Promise<Decision> {
    let credential: Credential | undefined;
    try {
      credential = presentedCredential(request.header);
      return await judge(request, credential);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      const scheme = credential?.scheme ?? dpopOf(request);
      return refusedBy(error, request.route, scheme);
    }
  }

  return async function decide(request) {
    const found = routed(request);
    if ('fault' in found) return denied(found.fault);
    const { header, certificate, address } = request;
    const admission = await admit({ address });
    if (!admission.allowed) return notAdmitted(admission);
    const decision = await judgeOrRefuse({ ...found, header, certificate, address });
    if (decision.outcome === 'admitted') admission.succeeded();
    return decision;
  };
}

type Routed = { fault: string } | { original: OriginalRequest; route: EdgeRoute };

/** The scheme of a credential that could not be read. */
function dpopOf({ header }: RoutedRequest): 'DPoP' | undefined {
  return /^dpop(?: |$)/i.test(header('authorization')[0] ?? '') ? 'DPoP' : undefined;
}

function subjectsOf({ clientId: client, customerId: customer, apiKeyId: apiKey }: Identity) {
  return { client, customer, apiKey };
}
