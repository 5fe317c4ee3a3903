import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { parseAllDocuments } from "yaml";

const CHART = join(import.meta.dirname, "../../charts/podid");

/** An object of a rendered chart. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly [field: string]: unknown;
}

export interface RenderOptions {
  /** The helm binary. */
  readonly helm: string;
  readonly release?: string;
  readonly namespace?: string;
  /** `--set` arguments. */
  readonly set?: readonly string[];
  /** `--set-json` arguments. */
  readonly setJson?: readonly string[];
  /** As a values file would have them. */
  readonly values?: Readonly<Record<string, unknown>>;
  /** Version of the cluster; helm's own notion when absent. */
  readonly kubeVersion?: string;
}

/** What `helm template` makes of charts/podid, without CRDs. @throws with helm's words when it refuses */
export async function renderChart({
  helm,
  release = "podid",
  namespace = "default",
  set = [],
  setJson = [],
  values = {},
  kubeVersion,
}: RenderOptions): Promise<Manifest[]> {
  const args = [
    "template",
    release,
    CHART,
    `--namespace=${namespace}`,
    ...Object.entries(values).map(([key, value]) => `--set-json=${key}=${JSON.stringify(value)}`),
    ...set.map((value) => `--set=${value}`),
    ...setJson.map((value) => `--set-json=${value}`),
    ...(kubeVersion === undefined ? [] : [`--kube-version=${kubeVersion}`]),
  ];
  const { stdout } = await promisify(execFile)(helm, args, { maxBuffer: 2 ** 26 });
  return manifests(stdout);
}

/** Whether helm makes the object for a moment of the release's life alone: a hook. */
export function isHook({ metadata }: Manifest): boolean {
  return metadata.annotations?.["helm.sh/hook"] !== undefined;
}

/** The objects of a YAML stream; empty documents are left out. */
export function manifests(yaml: string): Manifest[] {
  return parseAllDocuments(yaml).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0]!;
    const object = document.toJS() as Manifest | null;
    return object === null ? [] : [object];
  });
}
