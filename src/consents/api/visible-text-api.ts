import { z } from 'zod';

/** Letters that nobody sees, which could turn the name of a payee around (Unicode TR 36 §2.7.2). */
const visible = /^[^\p{Cc}\u061C\u200B-\u200F\u202A-\u202E\u2060\u2066-\u2069\uFEFF]*$/u;

/** Text of clients that customers read: something, not too long, and nothing hidden in it. */
export const visibleText = (max: number) => z.string().min(1).max(max).regex(visible);
