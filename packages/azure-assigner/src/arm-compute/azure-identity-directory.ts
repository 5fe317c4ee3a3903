import { ManagedServiceIdentityClient } from "@azure/arm-msi";
import type { TokenCredential } from "@azure/core-auth";
import { parseIdentityResourceId } from "@podid/crd-types";
import type { IdentityDirectory, IdentityFacts } from "../arm.ts";
import { ArmError } from "../arm-problem.ts";
import { clientOptions } from "./client-options.ts";
import type { ArmClientOptions } from "./client-options.ts";
import { asArmError } from "./transport-error.ts";
import { responsePolicy } from "./response-policy.ts";

/** The identity resource provider through the official client. */
export class AzureIdentityDirectory implements IdentityDirectory {
  readonly #credential: TokenCredential;
  readonly #options: ArmClientOptions;
  readonly #clients = new Map<string, ManagedServiceIdentityClient>();

  constructor(credential: TokenCredential, options: ArmClientOptions = {}) {
    this.#credential = credential;
    this.#options = options;
  }

  async find(resourceId: string, signal?: AbortSignal): Promise<IdentityFacts | undefined> {
    const parsed = parseIdentityResourceId(resourceId);
    if (!parsed.ok) return undefined;
    const { subscriptionId, resourceGroup, name } = parsed.value;
    try {
      const identity = await asArmError(signal, () =>
        this.#client(subscriptionId).userAssignedIdentities.get(
          resourceGroup,
          name,
          signal === undefined ? {} : { abortSignal: signal },
        ),
      );
      const { clientId, principalId, tenantId } = identity;
      if (clientId === undefined || principalId === undefined || tenantId === undefined) return undefined;
      return { clientId, principalId, tenantId };
    } catch (error) {
      if (error instanceof ArmError && error.problem.kind === "gone") return undefined;
      throw error;
    }
  }

  #client(subscription: string): ManagedServiceIdentityClient {
    let client = this.#clients.get(subscription);
    if (client === undefined) {
      const { scope, options } = clientOptions(this.#options);
      client = new ManagedServiceIdentityClient(this.#credential, subscription, {
        ...options,
        credentialScopes: scope,
      });
      client.pipeline.addPolicy(responsePolicy(() => Date.now()));
      this.#clients.set(subscription, client);
    }
    return client;
  }
}
