/** See link-node.mjs. */
export function linkNode(root: string): boolean;
