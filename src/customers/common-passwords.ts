/**
 * Whether a password, in lower case, is among the commonest (ASVS 6.2.4 asks for the first 3,000; this list has tens
 * of thousands). The list is unpacked at the first question, because only new passwords need it.
 */
export async function loadCommonPasswords(): Promise<(candidate: string) => boolean> {
  const { dictionary } = await import('@zxcvbn-ts/language-common');
  const common = new Set<string>([...dictionary['passwords-common']].map(String));
  return (candidate) => common.has(candidate) || common.has(withoutDecoration(candidate));
}

/** "password1234!" is as common as "password". */
function withoutDecoration(candidate: string): string {
  return candidate.replace(/^[\d\W_]+|[\d\W_]+$/g, '');
}
