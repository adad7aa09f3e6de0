/** A client to which a customer gave access by scopes alone; the provider's fit. */
export interface AllowedApp {
  /** Names the client in addresses. */
  reference: string;
  clientId: string;
  since: Date;
  until: Date;
  access: {
    openidScopes: string[];
    resources: { scopes: { name: string; sentences: Readonly<Record<string, string>> }[] }[];
  };
}

/** Access that no consent object stands for. */
export interface AllowedApps {
  listOf(customerId: string): Promise<AllowedApp[]>;
  /** Undefined where there is nothing (any more) of this customer to end. */
  end(
    customerId: string,
    reference: string,
  ): Promise<{ clientId: string; count: number } | undefined>;
}
