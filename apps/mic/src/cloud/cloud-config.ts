import { parse } from "yaml";
import type { YAMLParseError } from "yaml";

/** MIC's access to Azure, from azure.json or from the environment. */
export interface CloudConfig {
  readonly cloud: string;
  readonly tenantId: string;
  readonly credential:
    | { readonly kind: "secret"; readonly clientId: string; readonly clientSecret: string }
    /** PEM file with certificate and key; the key may be encrypted. */
    | {
        readonly kind: "certificate";
        readonly clientId: string;
        readonly path: string;
        readonly password: string | undefined;
      }
    /** Without client id and resource id: the system-assigned one. */
    | {
        readonly kind: "managedIdentity";
        readonly clientId: string | undefined;
        readonly resourceId?: string | undefined;
      }
    /** The projected token of a federated ServiceAccount. */
    | {
        readonly kind: "workloadIdentity";
        readonly clientId: string;
        readonly tokenFile: string;
        /** Where its webhook says that Entra is; undefined: where the cloud's is. */
        readonly authorityHost?: string | undefined;
      };
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly vmType: string;
  /** Client id or ARM id of the cluster's own identity, which is never detached and not for pods. On AKS it is kubelet's as well. */
  readonly clusterIdentity: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

interface Fields {
  readonly cloud: string;
  readonly tenantId: string;
  readonly clientId: string;
  readonly clientSecret: string;
  readonly certificatePath: string;
  readonly certificatePassword: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly vmType: string;
  readonly useManagedIdentity: boolean;
  readonly userAssignedIdentity: string;
}

/**
 * Reads azure.json, which upstream parsed as YAML.
 * @throws {Error} that names the field and what belongs there; never its value where that may be a secret
 */
export function cloudConfigFromFile(text: string, environment: Environment): CloudConfig {
  let file: unknown;
  let flaw: string | undefined;
  try {
    file = parse(text);
  } catch (error) {
    // The parser's own words quote the text, which holds secrets.
    const { code, linePos } = error as Partial<YAMLParseError>;
    flaw = `${code ?? "unreadable"}${linePos === undefined ? "" : `, line ${linePos[0].line}`}`;
  }
  if (flaw !== undefined) throw new Error(`the cloud config is neither JSON nor YAML (${flaw}); correct it`);
  if (typeof file !== "object" || file === null || Array.isArray(file))
    throw new Error("the cloud config is no object; give the contents of azure.json");
  const values = file as Record<string, unknown>;
  const value = (field: string): string => {
    const found = values[field];
    if (found === undefined || found === null) return "";
    if (typeof found === "string") return found;
    if (typeof found === "number" || typeof found === "boolean") return String(found);
    throw new Error(`${field} in the cloud config is an object or a list; give a text`);
  };
  return cloudConfig(
    {
      cloud: value("cloud"),
      tenantId: value("tenantId"),
      clientId: value("aadClientId"),
      clientSecret: value("aadClientSecret"),
      certificatePath: value("aadClientCertPath"),
      certificatePassword: value("aadClientCertPassword"),
      subscriptionId: value("subscriptionId"),
      resourceGroup: value("resourceGroup"),
      vmType: value("vmType"),
      useManagedIdentity: value("useManagedIdentityExtension").toLowerCase() === "true",
      userAssignedIdentity: value("userAssignedIdentityID"),
    },
    environment,
    { tenantId: "tenantId", clientId: "aadClientId", clientSecret: "aadClientSecret" },
  );
}

/** Reads upstream's environment variables. @throws as {@link cloudConfigFromFile} */
export function cloudConfigFromEnvironment(environment: Environment): CloudConfig {
  const value = (name: string): string => environment[name]?.trim() ?? "";
  return cloudConfig(
    {
      cloud: value("CLOUD"),
      tenantId: value("TENANT_ID"),
      clientId: value("CLIENT_ID"),
      clientSecret: value("CLIENT_SECRET"),
      certificatePath: value("CLIENT_CERTIFICATE_PATH"),
      certificatePassword: value("CLIENT_CERTIFICATE_PASSWORD"),
      subscriptionId: value("SUBSCRIPTION_ID"),
      resourceGroup: value("RESOURCE_GROUP"),
      vmType: value("VM_TYPE"),
      useManagedIdentity: value("USE_MSI").toLowerCase() === "true",
      userAssignedIdentity: value("USER_ASSIGNED_MSI_CLIENT_ID"),
    },
    environment,
    { tenantId: "TENANT_ID", clientId: "CLIENT_ID", clientSecret: "CLIENT_SECRET" },
  );
}

function cloudConfig(
  fields: Fields,
  environment: Environment,
  names: { readonly tenantId: string; readonly clientId: string; readonly clientSecret: string },
): CloudConfig {
  const { cloud, subscriptionId, resourceGroup, vmType, userAssignedIdentity } = fields;
  const common = {
    // go-autorest knows no default; AKS always writes the name, other installers need not.
    cloud: cloud === "" ? "AzurePublicCloud" : cloud,
    subscriptionId,
    resourceGroup,
    vmType,
    clusterIdentity: userAssignedIdentity === "" ? undefined : userAssignedIdentity,
  };
  // AKS and the chart write `msi` where a service principal's id would be.
  if (fields.useManagedIdentity || fields.clientId.toLowerCase() === "msi") {
    const isResource = userAssignedIdentity.startsWith("/");
    return {
      ...common,
      tenantId: fields.tenantId,
      credential: isResource
        ? { kind: "managedIdentity", clientId: undefined, resourceId: userAssignedIdentity }
        : { kind: "managedIdentity", clientId: common.clusterIdentity },
    };
  }
  const { certificatePath, certificatePassword } = fields;
  if (fields.clientSecret === "" && certificatePath !== "" && fields.clientId !== "" && fields.tenantId !== "") {
    return {
      ...common,
      tenantId: fields.tenantId,
      credential: {
        kind: "certificate",
        clientId: fields.clientId,
        path: certificatePath,
        password: certificatePassword === "" ? undefined : certificatePassword,
      },
    };
  }
  const tokenFile = environment["AZURE_FEDERATED_TOKEN_FILE"] ?? "";
  const federatedClient = fields.clientId || (environment["AZURE_CLIENT_ID"] ?? "");
  const federatedTenant = fields.tenantId || (environment["AZURE_TENANT_ID"] ?? "");
  if (fields.clientSecret === "" && tokenFile !== "" && federatedClient !== "" && federatedTenant !== "") {
    return {
      ...common,
      tenantId: federatedTenant,
      credential: {
        kind: "workloadIdentity",
        clientId: federatedClient,
        tokenFile,
        authorityHost: environment["AZURE_AUTHORITY_HOST"] || undefined,
      },
    };
  }
  const missing = (["tenantId", "clientId", "clientSecret"] as const)
    .filter((field) => fields[field] === "")
    .map((field) => names[field]);
  if (missing.length > 0) {
    throw new Error(
      `no credential for Azure: ${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} not set; set ${missing.length === 1 ? "it" : "them"}, or use a certificate (aadClientCertPath, CLIENT_CERTIFICATE_PATH), a managed identity (useManagedIdentityExtension, USE_MSI) or a federated one (AZURE_FEDERATED_TOKEN_FILE)`,
    );
  }
  const { tenantId, clientId, clientSecret } = fields;
  return { ...common, tenantId, credential: { kind: "secret", clientId, clientSecret } };
}
