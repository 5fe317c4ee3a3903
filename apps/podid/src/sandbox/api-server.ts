import type { Server } from "node:net";
import type { AuditLog } from "@podid/kube-emulator";
import type { Call } from "./control-call.ts";

/** The Kubernetes API of a sandbox, whoever serves it: on the fabric's address, with podid's CRDs. */
export interface ApiServer {
  /** Administrator's kubeconfig, YAML, for clients that reach the API under `server`. */
  kubeconfig(server: string): string;
  /** Serves a further listening socket. */
  accept(server: Server): void;
  /**
   * Answers what the control API is asked below `/kube`: what goes wrong with the server, and what was asked of it.
   * @throws Refused for what is no route, and for what this server cannot do
   */
  control(call: Call): unknown;
  /** Requests as they come; only the emulator can tell. */
  readonly audit: AuditLog | undefined;
}
