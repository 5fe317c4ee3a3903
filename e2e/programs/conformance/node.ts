import { DefaultAzureCredential, ManagedIdentityCredential } from "@azure/identity";
import { ManagedIdentityApplication } from "@azure/msal-node";

/**
 * Asks the official SDKs for tokens in a pod with nothing configured, as the other programs of this folder do: each
 * argument is CLIENT,KIND,ID; all of them are asked at once, and the answer is a line of JSON in the same order.
 */
const RESOURCE = "https://management.azure.com/";
const SCOPE = `${RESOURCE}.default`;

type Ids = { clientId?: string; resourceId?: string; objectId?: string };

const CLIENTS: Readonly<Record<string, (ids: Ids) => Promise<string>>> = {
  default: async (ids) => (await new DefaultAzureCredential(defaultOptions(ids)).getToken(SCOPE)).token,
  managed: async ({ clientId, resourceId, objectId }) => {
    const credential =
      resourceId !== undefined
        ? new ManagedIdentityCredential({ resourceId })
        : objectId !== undefined
          ? new ManagedIdentityCredential({ objectId })
          : new ManagedIdentityCredential(clientId === undefined ? {} : { clientId });
    return (await credential.getToken(SCOPE)).token;
  },
  msal: async ({ clientId, resourceId, objectId }) => {
    const application = new ManagedIdentityApplication({
      managedIdentityIdParams: {
        ...(clientId !== undefined && { userAssignedClientId: clientId }),
        ...(resourceId !== undefined && { userAssignedResourceId: resourceId }),
        ...(objectId !== undefined && { userAssignedObjectId: objectId }),
      },
    });
    return (await application.acquireToken({ resource: RESOURCE })).accessToken;
  },
};

function defaultOptions({ clientId, resourceId }: Ids): object {
  if (resourceId !== undefined) return { managedIdentityResourceId: resourceId };
  return clientId === undefined ? {} : { managedIdentityClientId: clientId };
}

async function answer(ask: string): Promise<{ token: string } | { error: string }> {
  const [client = "", kind = "", id = ""] = ask.split(",");
  try {
    const token = CLIENTS[client]?.(kind === "none" ? {} : { [kind]: id });
    if (token === undefined) throw new Error(`no client is called "${client}"`);
    return { token: await token };
  } catch (error) {
    return { error: String(error) };
  }
}

process.stdout.write(JSON.stringify(await Promise.all(process.argv.slice(2).map(answer))));
