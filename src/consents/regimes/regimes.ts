import type { Regime, RegimeName } from '../consent.ts';
import { plain } from './plain.ts';
import { uk } from './uk.ts';

/** Every market that is known. */
export const regimes: Readonly<Record<RegimeName, Regime>> = { uk, plain };
