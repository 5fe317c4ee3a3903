import { stringify } from "yaml";

/** A kubeconfig file with one cluster, one user and one context. */
export function kubeconfigYaml(o: { server: string; caPem: string; token: string }): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [
      {
        name: "kube-emulator",
        cluster: { server: o.server, "certificate-authority-data": Buffer.from(o.caPem).toString("base64") },
      },
    ],
    users: [{ name: "admin", user: { token: o.token } }],
    contexts: [{ name: "kube-emulator", context: { cluster: "kube-emulator", user: "admin", namespace: "default" } }],
    "current-context": "kube-emulator",
  });
}
