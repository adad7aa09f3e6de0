/** Nothing to see, or nothing to tell apart: controls, line breaks, bidi controls, fillers, and what no font has. */
const invisible =
  /[\p{Cc}\p{Cs}\p{Co}\p{Zl}\p{Zp}[[\p{Cf}\p{Default_Ignorable_Code_Point}]--[\p{Join_Control}\p{Variation_Selector}]]]/v;
/** Where a joiner changes what is seen: between characters of a script that joins, or the parts of an emoji. */
const looseJoiner =
  /(?<![[\p{L}\p{M}\p{S}]--[\p{Script=Latin}\p{Script=Greek}\p{Script=Cyrillic}]])\p{Join_Control}|\p{Join_Control}(?![\p{L}\p{S}])/v;
const looseSelector = /(?<![\p{S}\p{N}\p{Script=Han}\p{Script=Mongolian}])\p{Variation_Selector}/v;
const visible = /[[\p{L}\p{N}]--\p{Default_Ignorable_Code_Point}]/v;

/** What is wrong with the name under which customers see a client; they decide by it. */
export function nameFault(name: string): string | undefined {
  if ([invisible, looseJoiner, looseSelector].some((pattern) => pattern.test(name))) {
    return 'has characters that nobody can see';
  }
  return visible.test(name) ? undefined : 'has no letter or digit';
}
