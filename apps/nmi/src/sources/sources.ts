import { IDENTITY_TYPE } from "@podid/crd-types";
import type { IdentityType } from "@podid/crd-types";
import { AuthorityList, EntraClient } from "@podid/entra-tokens";
import type { Clock, TokenSource } from "@podid/imds-proxy";
import { ResourceClient, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { loadNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import type { Logger } from "@podid/service";
import { CertificateSource } from "./certificate-source.ts";
import { ClientSecretSource } from "./client-secret-source.ts";
import { clusterIdentity } from "./cluster-identity.ts";
import { EntraExchange } from "./entra-exchange.ts";
import { FederatedSource } from "./federated-source.ts";
import { IdentitySecret } from "./identity-secret.ts";
import { IssuerCheck } from "./issuer-check.ts";
import { NodeIdentities, withoutNodeIdentities } from "./node-identities.ts";
import { PodTokens } from "./pod-tokens.ts";
import { SecretReader } from "./secret-reader.ts";
import type { SourceConfig } from "./source-config.ts";
import { TenantGate } from "./tenant-gate.ts";
import { TokenGrant, TOO_WIDE } from "./token-grant.ts";

export interface SourcePorts {
  /** As NMI's own ServiceAccount. */
  readonly transport: KubeTransport;
  readonly imds: TokenSource;
  /** Around each source that asks Entra. */
  readonly measured?: (source: TokenSource) => TokenSource;
  readonly clock: Clock;
  readonly log: Logger;
  readonly userAgent?: string;
}

/** Every kind of token source, connected. */
export interface TokenSources {
  /** Identities that are not for pods. */
  readonly nodeIdentities: Pick<NodeIdentities, "told">;
  readonly byType: Readonly<Record<IdentityType, TokenSource>>;
  /** Rejects when NMI must not go on: its right to create tokens reaches too far. Otherwise it says nothing. */
  verify(): Promise<void>;
  forgetPod(podUid: string): void;
  close(): Promise<void>;
}

/** @throws {Error} when the node's own identity cannot be found out */
export function tokenSources(config: SourceConfig, ports: SourcePorts): TokenSources {
  const { clock, log, transport, userAgent } = ports;
  const identity = clusterIdentity(config.nodeCloudConfig);
  const nodes = new NodeIdentities({
    identities: [...config.immutableIdentities, ...(identity === undefined ? [] : [identity])],
    allowed: config.allowedNodeIdentities,
  });
  const version = config.entraVersion;
  const client = new EntraClient({
    now: () => clock.wallMs(),
    proxyEnv: process.env,
    ...(userAgent !== undefined && { userAgent }),
  });
  const exchange = new EntraExchange({
    client,
    version,
    clock,
    authorities: new AuthorityList({ cloud: config.cloud, further: config.allowedAuthorities }),
    gate: new TenantGate({ clock }),
  });
  const secrets = new ResourceClient(transport, RESOURCES.secrets);
  const reader = new SecretReader({
    clock,
    get: (name, namespace) => secrets.get(name, namespace, { timeoutMs: SECRET_TIMEOUT_MS }),
  });
  const secret = new IdentitySecret({ reader, namespaces: config.secretNamespaces });
  const federation = podTokens(config, ports);
  const federated = new FederatedSource({
    tokens: federation.tokens,
    exchange,
    issuers: new IssuerCheck({ clock, log }),
    audience: config.exchangeAudience,
    log,
  });
  const { auxiliaryTenants } = config;
  const guarded = (source: TokenSource): TokenSource => withoutNodeIdentities(source, nodes);
  const entra = (source: TokenSource): TokenSource => guarded(ports.measured?.(source) ?? source);
  return {
    nodeIdentities: nodes,
    byType: {
      [IDENTITY_TYPE.userAssigned]: guarded(ports.imds),
      [IDENTITY_TYPE.clientSecret]: entra(new ClientSecretSource({ secret, exchange, auxiliaryTenants })),
      [IDENTITY_TYPE.certificate]: entra(new CertificateSource({ secret, exchange, version, clock })),
      [IDENTITY_TYPE.federated]: entra(federated),
    },
    verify: federation.verify,
    forgetPod: (podUid) => federated.forgetPod(podUid),
    async close() {
      client.close();
      await federation.close();
    },
  };
}

const SECRET_TIMEOUT_MS = 5_000;

function podTokens(
  config: SourceConfig,
  { transport, clock, log, userAgent }: SourcePorts,
): { readonly tokens: PodTokens; readonly verify: () => Promise<void>; readonly close: () => Promise<void> } {
  const { tokenRequester: requester, exchangeAudience: audience } = config;
  if (requester === "kubelet") {
    let kubelet: KubeTransport | undefined;
    const connect = (): KubeTransport =>
      (kubelet ??= transportFromKubeConfig(
        loadNodeKubeConfig(config.kubeletKubeconfig),
        userAgent === undefined ? {} : { userAgent },
      ));
    return {
      tokens: new PodTokens({ requester, transport: connect, audience, clock }),
      verify: () => Promise.resolve(),
      close: async () => kubelet?.close(),
    };
  }
  const grant = new TokenGrant(transport);
  const forbidden = config.allowClusterWideTokens ? {} : { forbidden: () => grant.forbidden() };
  return {
    tokens: new PodTokens({ requester, transport: () => transport, audience, clock, ...forbidden }),
    async verify() {
      if (config.allowClusterWideTokens) return;
      let wide: boolean;
      try {
        wide = await grant.isClusterWide();
      } catch (error) {
        log.warn(
          { error: error instanceof Error ? error.message : String(error) },
          "the API server does not say how far the right to create tokens reaches; until it does there are none",
        );
        return;
      }
      if (wide) throw new Error(TOO_WIDE);
    },
    close: () => Promise.resolve(),
  };
}
