import { readFileSync } from "node:fs";
import { entraCloud, normalizeAuthority } from "@podid/entra-tokens";
import type { EndpointVersion, EntraCloud } from "@podid/entra-tokens";
import type { CommandLine } from "@podid/service";
import type { TokenRequester } from "./pod-tokens.ts";
import type { SOURCE_FLAGS } from "./source-flags.ts";

type Values = CommandLine<typeof SOURCE_FLAGS>["values"];

/** Where tokens come from. */
export interface SourceConfig {
  readonly cloud: EntraCloud;
  readonly allowedAuthorities: readonly string[];
  readonly entraVersion: EndpointVersion;
  readonly auxiliaryTenants: boolean;
  readonly secretNamespaces: readonly string[];
  readonly tokenRequester: TokenRequester;
  readonly kubeletKubeconfig: string;
  readonly exchangeAudience: string;
  readonly allowClusterWideTokens: boolean;
  readonly immutableIdentities: readonly string[];
  readonly nodeCloudConfig: string;
  readonly allowedNodeIdentities: readonly string[];
}

/** @returns what is wrong with the flags, each with its fix */
export function sourceProblems(values: Values, env: Readonly<Record<string, string | undefined>>): string[] {
  const errors: string[] = [];
  try {
    cloudOf(values, env);
  } catch (error) {
    errors.push(`--cloud: ${error instanceof Error ? error.message : String(error)}`);
  }
  for (const entry of values["allowed-authorities"])
    if (normalizeAuthority(entry) === undefined)
      errors.push(`--allowed-authorities: ${JSON.stringify(entry)} is not an https address without a path`);
  for (const entry of values["allow-node-identities"])
    if (!/^[^/]+\/.+$/.test(entry))
      errors.push(
        `--allow-node-identities: ${JSON.stringify(entry)} is not NAMESPACE/ID, as team-a/00000000-0000-0000-0000-000000000000`,
      );
  if (values["token-exchange-audience"] === "")
    errors.push(
      "--token-exchange-audience: it is empty, which would ask for tokens for the API server itself; leave it out",
    );
  return errors;
}

/** Call only after {@link sourceProblems} found none. */
export function sourceConfig(values: Values, env: Readonly<Record<string, string | undefined>>): SourceConfig {
  return {
    cloud: cloudOf(values, env),
    allowedAuthorities: values["allowed-authorities"],
    entraVersion: values["entra-endpoint"] === "v1" ? 1 : 2,
    auxiliaryTenants: values["auxiliary-tenant-tokens"] === "array",
    secretNamespaces: values["secret-namespaces"],
    tokenRequester: values["token-request-credentials"],
    kubeletKubeconfig: values["kubelet-kubeconfig"],
    exchangeAudience: values["token-exchange-audience"],
    allowClusterWideTokens: values["allow-cluster-wide-token-requests"],
    immutableIdentities: values["immutable-user-msis"],
    nodeCloudConfig: values["node-cloudconfig"],
    allowedNodeIdentities: values["allow-node-identities"],
  };
}

function cloudOf(values: Values, env: Readonly<Record<string, string | undefined>>): EntraCloud {
  return entraCloud(values.cloud || "AzurePublicCloud", () => {
    const path = env["AZURE_ENVIRONMENT_FILEPATH"];
    if (!path) throw new Error("AzureStackCloud needs AZURE_ENVIRONMENT_FILEPATH, the file with its endpoints");
    try {
      return readFileSync(path, "utf8");
    } catch (error) {
      throw new Error(`${path}, which AZURE_ENVIRONMENT_FILEPATH names, cannot be read`, { cause: error });
    }
  });
}
