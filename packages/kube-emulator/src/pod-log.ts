import type { KubeObject } from "./json.ts";
import { listAt, textAt } from "./json.ts";
import { badRequest } from "./status.ts";

/** What `GET pods/NAME/log` asks for; the fields of core/v1 PodLogOptions. */
export interface PodLogRequest {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly container: string;
  readonly follow: boolean;
  readonly previous: boolean;
  readonly timestamps: boolean;
  readonly tailLines: number | undefined;
  readonly sinceSeconds: number | undefined;
  readonly limitBytes: number | undefined;
  /** Aborted when the reader has gone. */
  readonly signal: AbortSignal;
}

/** Where logs come from: the part of a kubelet. Undefined: there is no such container any more. Throwing ends the answer. */
export type PodLogs = (
  request: PodLogRequest,
) => AsyncIterable<string | Uint8Array> | undefined | Promise<AsyncIterable<string | Uint8Array> | undefined>;

/** Reads the query and picks the container, refusing what the real server refuses. */
export function podLogOptions(pod: KubeObject, query: URLSearchParams): Omit<PodLogRequest, "signal"> {
  const { name, namespace = "", uid = "" } = pod.metadata;
  const names = ["initContainers", "containers"].flatMap((list) =>
    listAt(pod, "spec", list).map((container) => textAt(container, "name")),
  );
  const main = listAt(pod, "spec", "containers").map((container) => textAt(container, "name"));
  const asked = query.get("container") ?? "";
  if (asked === "" && main.length > 1)
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${main.join(" ")}]`);
  if (asked !== "" && !names.includes(asked)) throw badRequest(`container ${asked} is not valid for pod ${name}`);
  const node = textAt(pod, "spec", "nodeName");
  if (node === "") throw badRequest(`pod ${name} does not have a host assigned`);
  const number = (parameter: string): number | undefined => {
    const text = query.get(parameter);
    if (text === null || text === "") return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < 0)
      throw badRequest(`invalid ${parameter} ${JSON.stringify(text)}: use a whole number`);
    return value;
  };
  const flag = (parameter: string): boolean => ["true", "1"].includes(query.get(parameter) ?? "");
  return {
    namespace,
    name,
    uid,
    container: asked === "" ? (main[0] ?? "") : asked,
    follow: flag("follow"),
    previous: flag("previous"),
    timestamps: flag("timestamps"),
    tailLines: number("tailLines"),
    sinceSeconds: number("sinceSeconds"),
    limitBytes: number("limitBytes"),
  };
}
