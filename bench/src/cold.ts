import { API_VERSION } from "@podid/crd-types";
import { Cluster, clientIdOf, identityResourceId } from "@podid/e2e/cluster";
import { requestServiceAccountToken } from "@podid/kube";
import { figure } from "./figure.ts";
import type { Figure } from "./figure.ts";
import { certificateAuthorityOf } from "./kubeconfig-ca.ts";
import { medianOf } from "./timing.ts";

const TIMES = 7;
const TENANT = "22222222-2222-4222-8222-222222222222";
const APP = "33333333-3333-4333-8333-333333333333";
/** L: how long ARM takes to carry out a PATCH. */
const PATCH_MS = 2_000;
/** The sandbox's small kubelet is nobody's credential. */
const NMI_FLAGS = "--token-request-credentials=service-account --allow-cluster-wide-token-requests";

/**
 * New pods that ask for a token at once, in a sandbox with everything as shipped: from the creation of the Pod until the program in
 * it has the token. The same with a question that NMI answers without a token is what pod, program and request cost by themselves.
 */
export async function coldFigures(): Promise<readonly Figure[]> {
  const cluster = await Cluster.start(["--api-server", "emulator", "--nmi-args", NMI_FLAGS]);
  try {
    await cluster.nmiReady(cluster.vm);
    await cluster.leader();
    await trust(cluster);
    await identity(cluster, "federated", { type: 3, tenantID: TENANT, clientID: APP });
    for (let time = 0; time < TIMES; time++) {
      const name = `attached-${time}`;
      await cluster.control.addToAzure({
        userAssignedIdentities: [{ id: identityResourceId(name), clientId: clientIdOf(name) }],
      });
      await identity(cluster, name, { type: 0, resourceID: identityResourceId(name), clientID: clientIdOf(name) });
    }
    await cluster.control.addAzureFault({ match: { service: "arm", method: "PATCH" }, operationMs: PATCH_MS });
    const bare: number[] = [];
    const federated: number[] = [];
    const attached: number[] = [];
    for (let time = 0; time < TIMES; time++) {
      bare.push(await cold(cluster, `bare-${time}`, "none", { status: 400, metadata: false }));
      federated.push(await cold(cluster, `federated-${time}`, "federated", { status: 200, metadata: true }));
      attached.push(await cold(cluster, `attached-${time}`, `attached-${time}`, { status: 200, metadata: true }));
    }
    const against = "a pod that asks for no token";
    const start = medianOf(bare);
    return [
      figure("cold-federated", "ms", medianOf(federated), { baseline: start, against }),
      figure("cold-federated-added", "ms", medianOf(federated) - start, { baseline: start, against }),
      figure("cold-attached", "ms", medianOf(attached), { baseline: PATCH_MS, against: "L: ARM's PATCH" }),
      figure("cold-attached-overhead", "ms", medianOf(attached) - PATCH_MS, { baseline: start, against }),
    ];
  } finally {
    await cluster.stop();
  }
}

/** Milliseconds from the creation of the pod until a program in it has its answer. */
async function cold(
  cluster: Cluster,
  pod: string,
  selector: string,
  { status, metadata }: { readonly status: number; readonly metadata: boolean },
): Promise<number> {
  const program = `
    require("node:http").get({
      host: "169.254.169.254",
      path: "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F",
      headers: ${metadata ? '{ metadata: "true" }' : "{}"},
    }, (answer) => {
      let text = "";
      answer.on("data", (part) => (text += part)).once("end", () =>
        console.log(JSON.stringify({ status: answer.statusCode, at: Date.now(), text: answer.statusCode === ${status} ? "" : text })));
    });`;
  const created = Date.now();
  await cluster.pod(pod, { selector, node: cluster.vm });
  const { code, stdout, stderr } = await cluster.control.exec({ pod }, [process.execPath, "-e", program]);
  if (code !== 0) throw new Error(`the request from ${pod} could not be made: ${stderr}`);
  const answer = JSON.parse(stdout) as { status: number; at: number; text: string };
  if (answer.status !== status) throw new Error(`${pod} was answered with ${answer.status}: ${answer.text}`);
  return answer.at - created;
}

async function identity(cluster: Cluster, name: string, spec: object): Promise<void> {
  const metadata = { name, namespace: "default" };
  await cluster.identities.create({ apiVersion: API_VERSION, kind: "AzureIdentity", metadata, spec });
  await cluster.bindings.create({
    apiVersion: API_VERSION,
    kind: "AzureIdentityBinding",
    metadata,
    spec: { azureIdentity: name, selector: name },
  });
}

/** Makes the application trust the ServiceAccount `default`, and Entra find this cluster's issuer. */
async function trust(cluster: Cluster): Promise<void> {
  const { token } = await requestServiceAccountToken(cluster.transport, {
    namespace: "default",
    serviceAccount: "default",
    audience: "api://AzureADTokenExchange",
    expirationSeconds: 3600,
  });
  const { iss } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString()) as { iss: string };
  await cluster.control.addToAzure({
    tenants: [{ id: TENANT }],
    apps: [
      {
        clientId: APP,
        tenantId: TENANT,
        federatedCredentials: [{ issuer: iss, subject: "system:serviceaccount:default:default" }],
      },
    ],
    settings: { issuers: [{ issuer: iss, caPem: certificateAuthorityOf(cluster.sandbox.state.kubeconfig) }] },
  });
}
