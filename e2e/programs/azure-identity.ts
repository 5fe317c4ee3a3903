import { DefaultAzureCredential, ManagedIdentityCredential } from "@azure/identity";

/** Run in a pod with nothing configured: whose token does the official SDK get? Prints the identities' ARM ids as JSON. */
const SCOPE = "https://management.azure.com/.default";
const [clientId = "", resourceId = ""] = process.argv.slice(2);

const credentials = {
  default: new DefaultAzureCredential(),
  managed: new ManagedIdentityCredential(),
  clientId: new ManagedIdentityCredential({ clientId }),
  resourceId: new ManagedIdentityCredential({ resourceId }),
};

const answers: Record<string, string> = {};
for (const [name, credential] of Object.entries(credentials)) {
  const { token } = await credential.getToken(SCOPE);
  const claims = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as {
    xms_mirid: string;
  };
  answers[name] = claims.xms_mirid;
}
process.stdout.write(JSON.stringify(answers));
