import type { ResourceServerOptions } from 'countersign/resource-server';

export function createAuthorizer(
  options: ResourceServerOptions,
  routes: Readonly<Record<string, string>>,
): (event: object) => Promise<unknown>;

export const handler: ((event: object) => Promise<unknown>) | undefined;
