import { IDENTITIES, SUBSCRIPTION } from "./node-cluster.ts";

const DEMO_IMAGE = "ghcr.io/podid/demo:0.1.0";

/** A volume with the emulated Azure's authority, and what makes a Node program trust it. */
const TRUST = {
  volumes: [{ name: "azure-ca", configMap: { name: "azure-ca" } }],
  env: [{ name: "NODE_EXTRA_CA_CERTS", value: "/etc/azure-ca/ca.pem" }],
  volumeMounts: [{ name: "azure-ca", mountPath: "/etc/azure-ca", readOnly: true }],
};

/** The demo as a container, once through its four checks unless `period` says how often. */
export function demoContainer(name = "demo", period = "0", clientId = IDENTITIES["demo1"]): object {
  return {
    name,
    image: DEMO_IMAGE,
    imagePullPolicy: "Never",
    args: [
      `--subscriptionid=${SUBSCRIPTION}`,
      `--clientid=${clientId}`,
      "--resourcegroup=podid-demo",
      `--period=${period}`,
    ],
    env: TRUST.env,
    volumeMounts: TRUST.volumeMounts,
  };
}

/** A program of Node's in the demo's image. */
export function scriptContainer(name: string, script: string, env: Readonly<Record<string, string>> = {}): object {
  return {
    name,
    image: DEMO_IMAGE,
    imagePullPolicy: "Never",
    command: ["/usr/bin/node", "--input-type=module", "--eval", script],
    env: [...TRUST.env, ...Object.entries(env).map(([key, value]) => ({ name: key, value }))],
    volumeMounts: TRUST.volumeMounts,
  };
}

/** A pod's template, labelled for the binding `demo`. */
export function podTemplate(spec: object, labels: Readonly<Record<string, string>> = {}): object {
  return {
    metadata: { labels: { aadpodidbinding: "demo", ...labels } },
    spec: { terminationGracePeriodSeconds: 1, automountServiceAccountToken: false, volumes: TRUST.volumes, ...spec },
  };
}

/** Asks for a token again and again, one connection each, and prints a line for every answer: its status, or why there was none. */
export const HAMMER = `
import { get } from "node:http";
const ask = () => new Promise((resolve) => {
  const request = get("http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://management.azure.com/",
    { headers: { Metadata: "true" }, agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(String(response.statusCode)));
    });
  request.on("error", (error) => resolve(error.code ?? error.message));
});
for (;;) {
  console.log(await ask());
  await new Promise((resolve) => setTimeout(resolve, 20));
}
`;
