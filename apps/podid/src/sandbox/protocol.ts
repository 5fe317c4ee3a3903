import type { Assets } from "@podid/kube-control-plane";
import type { ProcessStatus } from "./supervised-process.ts";
import type { PodRow } from "./kubelet.ts";

/** What the outer process tells the supervisor it starts. */
export interface SandboxPlan {
  readonly nodes: number;
  readonly virtualMachines: number;
  /** Readable and writable from both sides, so not below /run. */
  readonly directory: string;
  /** One-file builds to run. */
  readonly bundles: { readonly mic: string; readonly nmi: string; readonly demo: string };
  /** Further flags; the last of a repeated one wins. */
  readonly args: { readonly mic: readonly string[]; readonly nmi: readonly string[] };
  readonly controlToken: string;
  /** Programs of the real API server; absent: the emulator serves. */
  readonly kubeAssets: Assets | undefined;
  /** Report every hop. */
  readonly verbose: boolean;
}

export type ToSupervisor =
  | { readonly type: "start"; readonly plan: SandboxPlan; readonly kubePort: number; readonly controlPort: number }
  | { readonly type: "listener"; readonly name: "kube" | "control" }
  | { readonly type: "stop" };

export interface ReadySandbox {
  readonly kubeconfig: string;
  readonly caFile: string;
  readonly caBundle: string;
  readonly nodes: readonly NodeRow[];
}

export interface NodeRow {
  readonly name: string;
  readonly providerId: string;
  readonly machineId: string;
  readonly kind: string;
  readonly address: string;
  readonly podCidr: string;
}

export type FromSupervisor =
  | { readonly type: "booted" }
  | { readonly type: "progress"; readonly text: string }
  | { readonly type: "hop"; readonly text: string }
  | { readonly type: "ready"; readonly sandbox: ReadySandbox }
  | { readonly type: "pods"; readonly pods: readonly PodRow[] }
  | { readonly type: "failed"; readonly message: string };

/** `GET /status` of the control API. */
export interface SandboxStatus {
  readonly nodes: readonly NodeRow[];
  readonly pods: readonly PodRow[];
  readonly processes: readonly ProcessStatus[];
}

/** `GET /pods/NAMESPACE/NAME` of the control API. */
export interface PodDoor {
  /** A process in the pod's namespaces, in the sandbox's pid namespace. */
  readonly pid: number;
  /** Where az CLI keeps this pod's sign-ins. */
  readonly azureConfigDir: string;
}
