import type { Context } from 'koa';
import { bounds } from '../bounds.ts';
import { Problem } from '../problem.ts';
import { rejectCrossSite, type Csrf } from './csrf.ts';
import { readForm } from './form.ts';

/** The step of an authorization request that a form belongs to. */
export interface PendingStep {
  uid: string;
  /** What is asked for now. */
  prompt: string;
  /** Where to go on when the step was answered already. */
  resumeUrl: string | undefined;
}

/** What a step's form is checked against. */
export interface StepFormChecks<P extends PendingStep> {
  issuer: string;
  csrf: Csrf;
  /** The prompt that the form answers. */
  prompt: P['prompt'];
  pending: (ctx: Context) => Promise<P>;
  /** Where a form may have more fields than usual. */
  maxFields?: number;
}

/**
 * Reads the form of a step once it is sure that it came from our page, in this browser, for this step; undefined when
 * the step was answered already and the browser is sent on. Problems: csrf_mismatch, interaction_used, and of
 * {@link readForm}.
 */
export async function readStepForm<P extends PendingStep>(
  ctx: Context,
  { issuer, csrf, prompt, pending: find, maxFields = bounds.forms.maxFields }: StepFormChecks<P>,
): Promise<{ pending: P; form: Record<string, string> } | undefined> {
  rejectCrossSite(ctx, issuer);
  const pending = await find(ctx);
  // A second click made the browser drop the first answer's redirect: that answer stands.
  if (pending.resumeUrl !== undefined) {
    ctx.status = 303;
    ctx.redirect(pending.resumeUrl);
    return undefined;
  }
  if (pending.prompt !== prompt) throw new Problem('interaction_used');
  const form = await readForm(ctx, { maxBytes: bounds.forms.maxBytes, maxFields });
  csrf.verify(pending.uid, form['csrf']);
  return { pending, form };
}
