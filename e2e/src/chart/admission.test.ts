import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import { KubeError, resourcePath, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { parseKubeConfig } from "@podid/kube/kubeconfig";
import { ControlPlane, findAssets } from "@podid/kube-control-plane";
import { renderChart } from "@podid/tools/chart";
import type { Manifest } from "@podid/tools/chart";
import { CASES } from "@podid/tools/chart-cases";
import { helms } from "@podid/tools/helms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../until.ts";

const assets = await findAssets(process.env);
const helm = helms().find(({ path }) => path !== undefined);
const why =
  assets === undefined ? ": skipped, KUBEBUILDER_ASSETS is not set" : helm === undefined ? ": skipped, no helm" : "";
/** Of the Prometheus operator, which is not here. */
const FOREIGN = "monitoring.coreos.com/";
const SCOPED_TO_CLUSTER = /^(Cluster|ValidatingAdmissionPolicy|Namespace$)/;

function collection({ apiVersion, kind, metadata }: Manifest): string {
  const [group = "", version = ""] = apiVersion.includes("/") ? apiVersion.split("/") : ["", apiVersion];
  const plural = kind
    .toLowerCase()
    .replace(/y$/, "ies")
    .replace(/([^s])$/, "$1s");
  const namespaced = !SCOPED_TO_CLUSTER.test(kind);
  return resourcePath(
    { group, version, plural, kind, namespaced },
    namespaced ? { namespace: metadata.namespace } : {},
  );
}

describe.skipIf(why !== "")(`a real API server on what the chart renders${why}`, () => {
  let controlPlane: ControlPlane;
  let transport: KubeTransport;

  const create = (object: Manifest, query: Record<string, string> = {}): Promise<unknown> =>
    transport.request({
      method: "POST",
      path: collection(object),
      query: { fieldValidation: "Strict", ...query },
      body: object,
    });
  const said = (creation: Promise<unknown>): Promise<string> =>
    creation.then(
      () => "accepted",
      (error: unknown) => (KubeError.is(error, 403, 422) ? (error as Error).message : Promise.reject(error as Error)),
    );

  beforeAll(async () => {
    if (assets === undefined || helm === undefined) return;
    controlPlane = await ControlPlane.start({ assets, apiServerFlags: ["--allow-privileged=true"] });
    transport = transportFromKubeConfig(parseKubeConfig(controlPlane.kubeconfig()));
    for (const body of CUSTOM_RESOURCE_DEFINITIONS)
      await transport.request({ method: "POST", path: resourcePath(RESOURCES.customResourceDefinitions), body });
    for (const name of ["podid", "team-a", "team-b", "team-empty", "identity", "leases"])
      await transport.request({
        method: "POST",
        path: resourcePath(RESOURCES.namespaces),
        body: { metadata: { name } },
      });
    // Pods are refused without.
    const account = { metadata: { name: "default", namespace: "podid" } };
    await transport.request({
      method: "POST",
      path: resourcePath(RESOURCES.serviceAccounts, { namespace: "podid" }),
      body: account,
    });
    const classes = {
      group: "scheduling.k8s.io",
      version: "v1",
      plural: "priorityclasses",
      kind: "PriorityClass",
      namespaced: false,
    };
    await transport.request({
      method: "POST",
      path: resourcePath(classes),
      body: { metadata: { name: "mine" }, value: 1 },
    });
    await until("the custom resources are served", async () => {
      await transport.request({ method: "GET", path: resourcePath(RESOURCES.azureIdentities) });
      return true;
    });
  });
  afterAll(async () => {
    await transport?.close();
    await controlPlane?.close();
  });

  test.for(CASES)("accepts every field: $name", async ({ values }) => {
    const objects = await renderChart({ helm: helm?.path ?? "", namespace: "podid", values, kubeVersion: "1.35.0" });
    for (const object of objects.filter(({ apiVersion }) => !apiVersion.startsWith(FOREIGN)))
      await create(object, { dryRun: "All" }).catch((error: unknown) => {
        throw new Error(`${object.kind} ${object.metadata.name}: ${String(error)}`, { cause: error });
      });
  });

  describe("policies", () => {
    const ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n";
    /** Allowed, so that of several policies the one about the form refuses them. */
    const MALFORMED = ["/subscriptions/S/providers/Microsoft.ManagedIdentity/userAssignedIdentities/n", "x", "y"];
    const identity = (namespace: string, spec: object): Manifest => ({
      apiVersion: "aadpodidentity.k8s.io/v1",
      kind: "AzureIdentity",
      metadata: { generateName: "x-", namespace } as unknown as Manifest["metadata"],
      spec,
    });
    const ask = (namespace: string, spec: object): Promise<string> =>
      said(create(identity(namespace, spec), { dryRun: "All" }));

    beforeAll(async () => {
      const values = {
        admissionPolicies: {
          resourceIDs: true,
          crossNamespaceSecrets: true,
          allowedIdentities: { "team-a": [ID, "client-a", ...MALFORMED], "team-empty": [], "*": ["client-everywhere"] },
        },
      };
      const objects = await renderChart({ helm: helm?.path ?? "", namespace: "podid", values, kubeVersion: "1.35.0" });
      for (const object of objects.filter(({ kind }) => kind.startsWith("ValidatingAdmissionPolicy")))
        await create(object);
      await until("all three policies are in force", async () => {
        const [form, secret, allowed] = await Promise.all([
          ask("team-a", { type: 0, resourceID: "x" }),
          ask("team-a", { type: 1, clientID: "client-a", clientPassword: { name: "p", namespace: "other" } }),
          ask("team-b", { type: 0, resourceID: ID }),
        ]);
        return form !== "accepted" && secret !== "accepted" && allowed !== "accepted";
      });
    });

    test("S80 [E gatekeeper] Admission", async () => {
      const [resourceID] = MALFORMED;
      for (const spec of [{ type: 0, resourceID }, { resourceID }])
        expect(await ask("team-a", spec)).toContain(
          `The identity resourceId '${resourceID}' is invalid.It must be of the following format: /subscriptions/<subid>/resourcegroups/<resourcegroup>/providers/Microsoft.ManagedIdentity/userAssignedIdentities/<name>`,
        );
      expect(await ask("team-a", { type: 0, resourceID: ID })).toBe("accepted");
      expect(await ask("team-a", { type: 0, resourceID: ID.toUpperCase() })).toBe("accepted");
      expect(await ask("team-a", { type: 1, clientID: "client-a" })).toBe("accepted");
    });

    test("a Secret of another namespace", async () => {
      const spec = { type: 1, clientID: "client-a", clientPassword: { name: "p", namespace: "kube-system" } };
      expect(await ask("team-a", spec)).toContain(
        "clientPassword.namespace: 'kube-system' is not the namespace of the AzureIdentity; keep the Secret in 'team-a'",
      );
      for (const clientPassword of [{ name: "p" }, { name: "p", namespace: "team-a" }])
        expect(await ask("team-a", { ...spec, clientPassword })).toBe("accepted");
    });

    test("an identity that the namespace may not name", async () => {
      expect(await ask("team-b", { type: 0, resourceID: ID })).toContain(
        `resourceID: '${ID.toLowerCase()}' is not allowed in the namespace 'team-b'`,
      );
      expect(await ask("team-a", { type: 3, clientID: "client-everywhere" })).toContain(
        "clientID: 'client-everywhere' is not allowed in the namespace 'team-a'",
      );
      expect(await ask("team-b", { type: 3, clientID: "Client-Everywhere" })).toBe("accepted");
      // A list that is empty allows nothing, not even what has no name.
      for (const spec of [{ type: 1, clientID: "" }, { type: 2 }])
        expect(await ask("team-empty", spec)).toContain("'' is not allowed in the namespace 'team-empty'");
    });

    test("an old object may still be labelled", async () => {
      const name = "old";
      const path = resourcePath(RESOURCES.azureIdentities, { namespace: "team-a" });
      await transport.request({
        method: "POST",
        path,
        body: { ...identity("team-a", { type: 0, resourceID: ID }), metadata: { name } },
      });
      const patch = (body: object): Promise<string> =>
        said(
          transport.request({
            method: "PATCH",
            path: `${path}/${name}`,
            body,
            contentType: "application/merge-patch+json",
          }),
        );
      expect(await patch({ metadata: { labels: { a: "b" } } })).toBe("accepted");
      expect(await patch({ spec: { resourceID: "y" } })).toContain("The identity resourceId 'y' is invalid");
    });
  });
});
