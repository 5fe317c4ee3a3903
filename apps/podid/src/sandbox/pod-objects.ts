import type { KubeObject } from "@podid/kube";

/** The part of a Pod that the sandbox's kubelet reads. */
export interface Pod extends KubeObject {
  spec: PodSpec;
  status?: PodStatus;
}

export interface PodSpec {
  nodeName?: string;
  nodeSelector?: Record<string, string>;
  hostNetwork?: boolean;
  hostname?: string;
  restartPolicy?: "Always" | "OnFailure" | "Never";
  schedulerName?: string;
  terminationGracePeriodSeconds?: number;
  containers?: Container[];
  initContainers?: Container[];
}

export interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: { fieldRef?: { fieldPath: string } } }[];
}

export interface PodStatus {
  phase?: string;
  podIP?: string;
  podIPs?: { ip: string }[];
  hostIP?: string;
  conditions?: { type: string; status: string; [field: string]: unknown }[];
  containerStatuses?: unknown[];
  [field: string]: unknown;
}

/** How one container is doing. Times are epoch milliseconds. */
export interface ContainerState {
  readonly name: string;
  readonly image: string;
  readonly restarts: number;
  readonly running: { readonly since: number } | undefined;
  readonly ended: { readonly code: number; readonly startedAt: number; readonly at: number } | undefined;
  /** Waiting for its next start after a failure. */
  readonly backOff: boolean;
}

/** Environment of a container, the downward API's fields resolved. */
export function containerEnvironment(
  pod: Pod,
  container: Container,
  fields: { readonly podIP: string; readonly hostIP: string },
): Record<string, string> {
  const known: Readonly<Record<string, string | undefined>> = {
    "metadata.name": pod.metadata.name,
    "metadata.namespace": pod.metadata.namespace,
    "metadata.uid": pod.metadata.uid,
    "spec.nodeName": pod.spec.nodeName,
    "status.podIP": fields.podIP,
    "status.hostIP": fields.hostIP,
  };
  return Object.fromEntries(
    (container.env ?? []).map(({ name, value, valueFrom }) => [
      name,
      value ?? known[valueFrom?.fieldRef?.fieldPath ?? ""] ?? "",
    ]),
  );
}

/** `registry/path/demo:tag@digest` → `demo`. */
export function imageName(image: string): string {
  return (image.split("/").at(-1) ?? "").replace(/[:@].*$/, "");
}
