import {
  ClientCertificateCredential,
  ClientSecretCredential,
  ManagedIdentityCredential,
  WorkloadIdentityCredential,
} from "@azure/identity";
import type { TokenCredential } from "@azure/identity";
import type { CloudConfig } from "./cloud-config.ts";
import type { Cloud } from "./clouds.ts";

/** MIC's own credential for ARM. Asking for a token may fail later; making the credential does no I/O. */
export function createCredential({ credential, tenantId }: CloudConfig, { authorityHost }: Cloud): TokenCredential {
  switch (credential.kind) {
    case "secret":
      return new ClientSecretCredential(tenantId, credential.clientId, credential.clientSecret, {
        authorityHost,
        // Entra's discovery answers for the public cloud only; the host is the operator's own choice.
        disableInstanceDiscovery: true,
      });
    case "certificate":
      return new ClientCertificateCredential(
        tenantId,
        credential.clientId,
        {
          certificatePath: credential.path,
          ...(credential.password !== undefined && { certificatePassword: credential.password }),
        },
        { authorityHost, disableInstanceDiscovery: true },
      );
    case "managedIdentity":
      if (credential.resourceId !== undefined)
        return new ManagedIdentityCredential({ resourceId: credential.resourceId });
      return credential.clientId === undefined
        ? new ManagedIdentityCredential()
        : new ManagedIdentityCredential({ clientId: credential.clientId });
    case "workloadIdentity":
      return new WorkloadIdentityCredential({
        tenantId,
        clientId: credential.clientId,
        tokenFilePath: credential.tokenFile,
        authorityHost: credential.authorityHost ?? authorityHost,
        disableInstanceDiscovery: true,
      });
  }
}
