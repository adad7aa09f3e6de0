import { z } from 'zod';
import { verificationFile } from '../src/config/verification-file.ts';

/** The JSON Schema of the file of `serve --config`: what an editor or a generator of such files reads. */
export function verificationSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(verificationFile, { io: 'input', unrepresentable: 'any' });
  return { title: 'Countersign verification file', ...schema };
}
