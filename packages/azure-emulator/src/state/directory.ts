import { randomUUID, X509Certificate } from "node:crypto";
import { isKnownResource } from "./token-resources.ts";

export interface Tenant {
  readonly id: string;
  /** A verified domain; requests may name the tenant by it. */
  readonly domain: string | undefined;
  /** Shown in AADSTS500011, e.g. `Contoso`. */
  readonly displayName: string;
}

/** Whatever may hold a role: an application's service principal or a managed identity. */
export interface Principal {
  readonly kind: "app" | "userAssigned" | "systemAssigned";
  readonly objectId: string;
  readonly clientId: string;
  readonly tenantId: string;
  readonly displayName: string;
  /** ARM id of the identity, or of the machine for a system-assigned one. */
  readonly resourceId: string | undefined;
}

export interface ClientSecret {
  readonly value: string;
  /** Epoch milliseconds. */
  readonly expiresAt: number | undefined;
}

export interface FederatedCredential {
  readonly name: string;
  readonly issuer: string;
  readonly subject: string;
  readonly audiences: readonly string[];
  /** Epoch milliseconds; a new credential has no effect for a while. */
  readonly createdAt: number;
}

export interface App {
  readonly principal: Principal;
  readonly secrets: ClientSecret[];
  readonly certificates: X509Certificate[];
  /** Certificates of these subjects are accepted when they come with a chain (subject name / issuer authentication). */
  readonly trustedSubjects: readonly string[];
  readonly identifierUris: readonly string[];
  readonly federatedCredentials: Map<string, FederatedCredential>;
}

/** Tenants, applications and every principal. Ids are compared without regard to case. */
export class Directory {
  readonly #tenants = new Map<string, Tenant>();
  readonly #apps = new Map<string, App>();
  readonly #principals = new Map<string, Principal>();
  readonly #byClientId = new Map<string, Principal>();
  readonly #resources = new Set<string>();

  addTenant(tenant: { id: string; domain?: string | undefined; displayName?: string | undefined }): Tenant {
    const added = { id: tenant.id, domain: tenant.domain, displayName: tenant.displayName ?? tenant.id };
    this.#tenants.set(tenant.id.toLowerCase(), added);
    return added;
  }

  get tenants(): readonly Tenant[] {
    return [...this.#tenants.values()];
  }

  /** By id or domain. */
  tenant(name: string): Tenant | undefined {
    const key = name.toLowerCase();
    return this.#tenants.get(key) ?? this.tenants.find((tenant) => tenant.domain?.toLowerCase() === key);
  }

  /** The tenant to use where none is named; made up when there is none yet. */
  defaultTenant(): Tenant {
    return this.tenants[0] ?? this.addTenant({ id: randomUUID() });
  }

  addApp(app: {
    clientId: string;
    objectId: string;
    tenantId: string;
    displayName: string;
    secrets: readonly ClientSecret[];
    certificatesPem: readonly string[];
    trustedSubjects: readonly string[];
    identifierUris: readonly string[];
    federatedCredentials: readonly FederatedCredential[];
  }): App {
    const principal: Principal = {
      kind: "app",
      objectId: app.objectId,
      clientId: app.clientId,
      tenantId: app.tenantId,
      displayName: app.displayName,
      resourceId: undefined,
    };
    const added: App = {
      principal,
      secrets: [...app.secrets],
      certificates: app.certificatesPem.map((pem) => new X509Certificate(pem)),
      trustedSubjects: app.trustedSubjects,
      identifierUris: app.identifierUris,
      federatedCredentials: new Map(
        app.federatedCredentials.map((credential) => [credential.name.toLowerCase(), credential]),
      ),
    };
    this.#apps.set(app.clientId.toLowerCase(), added);
    this.addPrincipal(principal);
    return added;
  }

  get apps(): readonly App[] {
    return [...this.#apps.values()];
  }

  app(clientId: string): App | undefined {
    return this.#apps.get(clientId.toLowerCase());
  }

  addPrincipal(principal: Principal): void {
    this.#principals.set(principal.objectId.toLowerCase(), principal);
    this.#byClientId.set(principal.clientId.toLowerCase(), principal);
  }

  removePrincipal(objectId: string): void {
    const principal = this.#principals.get(objectId.toLowerCase());
    if (principal === undefined) return;
    this.#principals.delete(objectId.toLowerCase());
    this.#byClientId.delete(principal.clientId.toLowerCase());
  }

  principal(objectId: string): Principal | undefined {
    return this.#principals.get(objectId.toLowerCase());
  }

  principalByClientId(clientId: string): Principal | undefined {
    return this.#byClientId.get(clientId.toLowerCase());
  }

  principals(): Iterable<Principal> {
    return this.#principals.values();
  }

  /** Makes tokens for `resource` obtainable. Azure's own services are known already. */
  addResource(resource: string): void {
    this.#resources.add(withoutSlash(resource));
  }

  get resources(): readonly string[] {
    return [...this.#resources];
  }

  knowsResource(resource: string): boolean {
    const name = withoutSlash(resource);
    if (this.#resources.has(name) || isKnownResource(name)) return true;
    return this.apps.some(
      (app) => app.identifierUris.some((uri) => withoutSlash(uri) === name) || app.principal.clientId === name,
    );
  }
}

function withoutSlash(resource: string): string {
  return resource.endsWith("/") ? resource.slice(0, -1) : resource;
}
