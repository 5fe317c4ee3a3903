import type { Server } from "node:net";
import type { AuditLog, Faults, PodLogs } from "@podid/kube-emulator";

/** The Kubernetes API of a sandbox, whoever serves it. */
export interface ApiServer {
  readonly caPem: string;
  /** Administrator's kubeconfig, YAML, for clients that reach the API under `server`. */
  kubeconfig(server: string): string;
  /** A token of a ServiceAccount, which is made when missing. */
  serviceAccountToken(namespace: string, name: string): Promise<string>;
  /** Serves a further listening socket. */
  accept(server: Server): void;
  /** What can be made to go wrong and what was asked; only the emulator has them. */
  readonly faults: Faults | undefined;
  readonly audit: AuditLog | undefined;
}

/** The embedded one. */
export async function startEmulatedApiServer(o: {
  readonly host: string;
  readonly port: number;
  readonly podLogs: PodLogs;
}): Promise<ApiServer> {
  const [{ startKubeEmulator }, { CUSTOM_RESOURCE_DEFINITIONS }] = await Promise.all([
    import("@podid/kube-emulator"),
    import("@podid/crd-types"),
  ]);
  const emulator = await startKubeEmulator({ ...o, crds: CUSTOM_RESOURCE_DEFINITIONS });
  return {
    caPem: emulator.caPem,
    kubeconfig: (server) => emulator.kubeconfig(server),
    serviceAccountToken: async (namespace, name) => emulator.serviceAccountToken(namespace, name),
    accept: (server) => emulator.accept(server),
    faults: emulator.faults,
    audit: emulator.audit,
  };
}
