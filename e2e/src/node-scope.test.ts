import type { KubeObject } from "@podid/kube";
import { NODE_LABEL } from "@podid/crd-types";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_SERVER } from "./api-server.ts";
import { Cluster } from "./cluster.ts";
import type { KubeRequestEntry } from "./control.ts";

const NMI_USER = "system:serviceaccount:kube-system:podid-nmi";
const MIC_USER = "system:serviceaccount:kube-system:podid-mic";
const CLUSTER_WIDE = ["azureidentities", "azureidentitybindings", "azurepodidentityexceptions"];
const WAIT_PARAMETERS = ["allowWatchBookmarks", "resourceVersion", "resourceVersionMatch", "sendInitialEvents"];

/** What a request asks for, without how it is to be delivered. */
function scope({ path, query }: KubeRequestEntry): { path: string; query: Record<string, string> } {
  const { watch: _watch, timeoutSeconds: _timeout, ...rest } = query;
  return {
    path,
    query: Object.fromEntries(Object.entries(rest).filter(([name]) => !WAIT_PARAMETERS.includes(name))),
  };
}

/** Skipped on the emulator: the proof is the audit log of a kube-apiserver. */
describe.skipIf(API_SERVER === "emulator")("what a node agent receives (needs KUBEBUILDER_ASSETS)", () => {
  let cluster: Cluster;
  /** Requests of each node's NMI that read; all NMIs are one user, the address tells them apart. */
  const reads = new Map<string, KubeRequestEntry[]>();

  beforeAll(async () => {
    cluster = await Cluster.start();
    await cluster.identity("scope", { selector: "scope" });
    const { nodes } = cluster.sandbox.state;
    await Promise.all(nodes.map(({ name }) => cluster.pod(`scope-${name}`, { selector: "scope", node: name })));
    // An answered token request proves that this NMI has seen its pod and its assigned identity.
    for (const { name } of nodes) {
      const answer = await cluster.token(`scope-${name}`);
      if (answer.status !== 200) throw new Error(`${name}: ${JSON.stringify(answer)}`);
    }
    const requests = await cluster.control.kubeRequests({ user: NMI_USER });
    for (const { name, address } of nodes)
      reads.set(
        name,
        requests.filter(({ peer, verb }) => peer === address && ["get", "list", "watch"].includes(verb)),
      );
    expect(requests.filter(({ peer }) => !nodes.some(({ address }) => address === peer))).toEqual([]);
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  const eachNode = (check: (node: string, requests: readonly KubeRequestEntry[]) => void): void => {
    expect(reads.size).toBe(3);
    for (const [node, requests] of reads) check(node, requests);
  };

  const scopesOf = (requests: readonly KubeRequestEntry[], resource: string) => [
    ...new Set(requests.filter((each) => each.resource === resource).map((each) => JSON.stringify(scope(each)))),
  ];

  test("it asks for the pods of its own node only", () => {
    eachNode((node, requests) => {
      const own = { path: "/api/v1/pods", query: { fieldSelector: `spec.nodeName=${node}` } };
      expect(scopesOf(requests, "pods")).toEqual([JSON.stringify(own)]);
    });
  });

  test("it asks for the assigned identities of its own node only", () => {
    eachNode((node, requests) => {
      const own = {
        path: "/apis/aadpodidentity.k8s.io/v1/azureassignedidentities",
        query: { labelSelector: `${NODE_LABEL}=${node}` },
      };
      expect(scopesOf(requests, "azureassignedidentities")).toEqual([JSON.stringify(own)]);
    });
  });

  test("identities, bindings and exceptions of the whole cluster", () => {
    eachNode((_node, requests) => {
      for (const resource of CLUSTER_WIDE)
        expect(scopesOf(requests, resource)).toEqual([
          JSON.stringify({ path: `/apis/aadpodidentity.k8s.io/v1/${resource}`, query: {} }),
        ]);
    });
  });

  test("nothing else, but the one ConfigMap that speaks to node agents", () => {
    eachNode((_node, requests) => {
      const others = new Set(
        requests
          .filter(({ resource }) => !["pods", "azureassignedidentities", ...CLUSTER_WIDE].includes(resource))
          .map(({ resource, query }) => `${resource} ${query["fieldSelector"]}`),
      );
      expect([...others]).toEqual(["configmaps metadata.name=podid-lifecycle"]);
    });
  });

  test("what these selectors select is of that node, and not empty", async () => {
    for (const [node, requests] of reads) {
      for (const resource of ["pods", "azureassignedidentities"]) {
        const found = requests.find((each) => each.resource === resource);
        if (found === undefined) throw new Error(`${node} never asked for ${resource}`);
        const list = await cluster.transport.request<{ items: (KubeObject & { spec: Spec })[] }>({
          method: "GET",
          ...scope(found),
        });
        expect(list.items.map(({ spec }) => spec.nodename ?? spec.nodeName)).toEqual([node]);
      }
    }
  });

  test("every list starts as a watch, which the API server answers from its memory", () => {
    eachNode((_node, requests) => {
      expect(requests.filter(({ verb }) => verb !== "watch")).toEqual([]);
      for (const resource of ["pods", "azureassignedidentities", ...CLUSTER_WIDE])
        expect(requests.some((each) => each.resource === resource && each.query["sendInitialEvents"] === "true")).toBe(
          true,
        );
    });
  });

  test("MIC lists by 500", async () => {
    const lists = (await cluster.control.kubeRequests({ user: MIC_USER, verb: "list" })).filter(
      ({ resource }) => resource !== "configmaps",
    );
    expect(new Set(lists.map(({ resource }) => resource))).toEqual(
      new Set(["pods", "nodes", "azureassignedidentities", ...CLUSTER_WIDE]),
    );
    expect(lists.filter(({ query }) => query["limit"] !== "500")).toEqual([]);
  });
});

interface Spec {
  readonly nodeName?: string;
  readonly nodename?: string;
}
