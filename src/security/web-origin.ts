/**
 * The origin of the page at an address (RFC 6454 §4), as browsers say it in `Origin`; undefined for addresses of no page: those
 * of native apps have the origin `null`, and so would be everybody's who sandboxes a frame.
 */
export function webOriginOf(address: string): string | undefined {
  const url = URL.parse(address);
  return url?.protocol === 'https:' || url?.protocol === 'http:' ? url.origin : undefined;
}
