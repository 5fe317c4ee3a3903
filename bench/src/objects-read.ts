import { readFileSync } from "node:fs";
import { request } from "node:https";
import { parseKubeConfig } from "@podid/kube/kubeconfig";

/** How many objects a kube-apiserver read so far to answer lists and to begin watches, by its own count. */
export interface ObjectsRead {
  /** From its watch cache, in memory. */
  readonly cache: number;
  readonly etcd: number;
}

/**
 * Objects of some resources, from the metrics `apiserver_cache_list_fetched_objects_total`, `apiserver_init_events_total`
 * and `apiserver_storage_list_fetched_objects_total` (https://kubernetes.io/docs/reference/instrumentation/metrics/).
 */
export async function readObjects(kubeconfig: string, resources: ReadonlySet<string>): Promise<ObjectsRead> {
  const text = await metrics(kubeconfig);
  const sum = (name: string): number => {
    let total = 0;
    for (const [, labels = "", value] of text.matchAll(new RegExp(`^${name}\\{(.*)\\} (\\S+)$`, "gm"))) {
      if (resources.has(/\bresource="([^"]*)"/.exec(labels)?.[1] ?? "")) total += Number(value);
    }
    return total;
  };
  return {
    cache: sum("apiserver_cache_list_fetched_objects_total") + sum("apiserver_init_events_total"),
    etcd: sum("apiserver_storage_list_fetched_objects_total"),
  };
}

async function metrics(kubeconfig: string): Promise<string> {
  const source = parseKubeConfig(readFileSync(kubeconfig, "utf8"));
  const { headers, tls } = await source.connection({ refresh: false });
  return new Promise((resolve, reject) => {
    request(
      `${source.server}/metrics`,
      { headers: headers as Record<string, string>, ...tls, agent: false },
      (answer) => {
        let text = "";
        answer.setEncoding("utf8").on("data", (part: string) => {
          text += part;
        });
        answer.once("error", reject).once("end", () => {
          if (answer.statusCode === 200) resolve(text);
          else reject(new Error(`GET /metrics: ${answer.statusCode} ${text}`));
        });
      },
    )
      .once("error", reject)
      .end();
  });
}
