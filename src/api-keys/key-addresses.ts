import { BlockList, isIP, isIPv6 } from 'node:net';

/** Whether a text is an address, or a network as CIDR. */
export function isNetwork(text: string): boolean {
  const [address = '', prefix, extra] = text.split('/');
  if (isIP(address) === 0 || address.includes('%') || extra !== undefined) return false;
  if (prefix === undefined) return true;
  return /^\d{1,3}$/.test(prefix) && Number(prefix) <= (isIPv6(address) ? 128 : 32);
}

/** Whether an address is in one of `networks`, which {@link isNetwork} has seen; an absent one is not. */
export function matcherOf(networks: readonly string[]): (address: string | undefined) => boolean {
  if (networks.length === 0) return () => true;
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', prefix] = network.split('/');
    const family = isIPv6(address) ? 'ipv6' : 'ipv4';
    if (prefix === undefined) list.addAddress(address, family);
    else list.addSubnet(address, Number(prefix), family);
  }
  return (address) => {
    if (address === undefined || isIP(address) === 0) return false;
    return list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4');
  };
}
