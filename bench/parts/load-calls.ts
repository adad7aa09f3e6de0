import type { FlowName } from './figures.ts';
import type { LaneTokens } from './server-calls.ts';
import type { ServerName } from './world.ts';

/** Some time of one flow, at one server or several at once. */
export interface Slot {
  servers: ServerName[];
  flow: FlowName;
  milliseconds: number;
}

/** What came of it. */
export interface SlotResult {
  units: number;
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
}

/** What the load generator does when asked. */
export interface LoadCalls {
  /** Opens all lanes to a server; lanes without minted tokens get theirs by login and consent. */
  connect(to: { server: ServerName; minted: LaneTokens[] }): undefined;
  /**
   * Every lane does one unit, so that connections are open, and every client has its turn: between two slots of a flow
   * more time passes than clients are remembered for, which under load would be a look-up among thousands of tokens.
   */
  warm(what: { server: ServerName; flow: FlowName }): undefined;
  /** One lane does one unit. */
  alone(what: { server: ServerName; flow: FlowName }): undefined;
  /** Makes so many third parties that are not registered anywhere; earlier ones are forgotten. */
  newcomers(count: number): undefined;
  /** Registers them one after another: milliseconds of each. */
  register(server: ServerName): number[];
  slot(slot: Slot): SlotResult;
}
