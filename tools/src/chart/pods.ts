import type { Manifest } from "../chart.ts";

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string; readonly valueFrom?: object }[];
  readonly ports?: readonly object[];
  readonly resources?: { readonly limits?: Readonly<Record<string, string>> };
  readonly securityContext?: {
    readonly privileged?: boolean;
    readonly runAsUser?: number;
    readonly runAsNonRoot?: boolean;
    readonly allowPrivilegeEscalation?: boolean;
    readonly readOnlyRootFilesystem?: boolean;
    readonly capabilities?: { readonly drop?: readonly string[]; readonly add?: readonly string[] };
  };
  readonly startupProbe?: { readonly exec: { readonly command: readonly string[] } };
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly hostNetwork?: boolean;
  readonly securityContext?: { readonly runAsNonRoot?: boolean; readonly seccompProfile?: { readonly type: string } };
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly volumes?: readonly {
    readonly name: string;
    readonly hostPath?: { readonly path: string; readonly type?: string };
  }[];
}

/** The pods that the objects lead to: of workloads, and those that are there themselves. */
export function podsOf(objects: readonly Manifest[]): PodSpec[] {
  return objects.flatMap((object) => {
    const spec = object["spec"] as { readonly template?: { readonly spec: PodSpec } } | undefined;
    const pod = object.kind === "Pod" ? (spec as PodSpec | undefined) : spec?.template?.spec;
    return pod === undefined ? [] : [pod];
  });
}

export function containersOf(objects: readonly Manifest[]): Container[] {
  return podsOf(objects).flatMap(({ initContainers = [], containers }) => [...initContainers, ...containers]);
}

/** @throws when there is none of that name */
export function containerOf(objects: readonly Manifest[], name: string): Container {
  const found = containersOf(objects).find((container) => container.name === name);
  if (found === undefined) throw new Error(`the chart renders no container ${name}`);
  return found;
}
