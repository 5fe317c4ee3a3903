import { KubeError, requestServiceAccountToken, resourcePath, RESOURCES, transportFromKubeConfig } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { parseKubeConfig } from "@podid/kube/kubeconfig";
import { ControlPlane, findAssets } from "@podid/kube-control-plane";
import { renderChart } from "@podid/tools/chart";
import type { Manifest } from "@podid/tools/chart";
import { helms } from "@podid/tools/helms";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "./until.ts";

const AUDIENCE = "api://AzureADTokenExchange";
const NODES = ["node-1", "node-2"] as const;
const NMI = "system:serviceaccount:podid:podid-nmi";

const assets = await findAssets(process.env);
const helm = helms().find(({ path }) => path !== undefined)?.path;
const why =
  assets === undefined ? ": skipped, KUBEBUILDER_ASSETS is not set" : helm === undefined ? ": skipped, no helm" : "";

const PLURALS: Readonly<Record<string, string>> = { ValidatingAdmissionPolicy: "validatingadmissionpolicies" };

function collection({ apiVersion, kind, metadata: { namespace } }: Manifest): string {
  const [group = "", version = ""] = apiVersion.split("/");
  const plural = PLURALS[kind] ?? `${kind.toLowerCase()}s`;
  const resource = { group, version, plural, kind, namespaced: namespace !== undefined };
  return resourcePath(resource, namespace === undefined ? {} : { namespace });
}

/** Both ways in which NMI may ask for tokens of pods, with exactly the rights that the chart gives for them. */
describe.skipIf(why !== "")(`tokens of pods, on a real API server${why}`, () => {
  let controlPlane: ControlPlane;
  let admin: KubeTransport;
  const transports: KubeTransport[] = [];
  const uids: Record<string, string> = {};

  /** Whoever the administrator pretends to be. */
  function as(user: string, ...groups: string[]): KubeTransport {
    const own = parseKubeConfig(controlPlane.kubeconfig());
    const transport = transportFromKubeConfig({
      server: own.server,
      async connection(options) {
        const { headers, tls } = await own.connection(options);
        return { tls, headers: { ...headers, "impersonate-user": user, "impersonate-group": groups } };
      },
    });
    transports.push(transport);
    return transport;
  }

  async function render(tokenRequests: object): Promise<void> {
    const values = { nmi: { tokenRequests } };
    const objects = await renderChart({ helm: helm ?? "", namespace: "podid", values, kubeVersion: "1.35.0" });
    for (const object of objects.filter(({ metadata }) => metadata.name === "podid-nmi-tokens"))
      await admin.request({ method: "POST", path: collection(object), body: object });
  }

  type Ask = { namespace?: string; pod?: string; uid?: string; audience?: string; seconds?: number; bound?: boolean };

  /** `token`, or the status of the refusal and why. */
  function ask(transport: KubeTransport, o: Ask = {}): Promise<string> {
    const { namespace = "team-a", pod = "on-node-1", audience = AUDIENCE, seconds = 3600, bound = true } = o;
    return requestServiceAccountToken(transport, {
      namespace,
      serviceAccount: "default",
      audience,
      expirationSeconds: seconds,
      boundPod: bound ? { name: pod, uid: o.uid ?? uids[`${namespace}/${pod}`] ?? "" } : undefined,
    }).then(
      () => "token",
      (error: unknown) => (error instanceof KubeError ? `${error.status} ${error.message}` : String(error)),
    );
  }

  beforeAll(async () => {
    if (assets === undefined) return;
    controlPlane = await ControlPlane.start({ assets });
    admin = transportFromKubeConfig(parseKubeConfig(controlPlane.kubeconfig()));
    const create = (resource: (typeof RESOURCES)[keyof typeof RESOURCES], body: object, namespace?: string) =>
      admin.request<{ metadata: { uid: string } }>({
        method: "POST",
        path: resourcePath(resource, namespace === undefined ? {} : { namespace }),
        body,
      });
    for (const name of NODES) await create(RESOURCES.nodes, { metadata: { name } });
    for (const namespace of ["podid", "team-a", "team-b"]) {
      await create(RESOURCES.namespaces, { metadata: { name: namespace } });
      await create(RESOURCES.serviceAccounts, { metadata: { name: "default" } }, namespace);
      for (const nodeName of NODES) {
        const name = `on-${nodeName}`;
        const spec = { nodeName, containers: [{ name: "main", image: "pause:1" }] };
        const { metadata } = await create(RESOURCES.pods, { metadata: { name }, spec }, namespace);
        uids[`${namespace}/${name}`] = metadata.uid;
      }
    }
  });
  afterAll(async () => {
    for (const transport of transports) await transport.close();
    await admin?.close();
    await controlPlane?.close();
  });

  describe("with kubelet's credentials", () => {
    let kubelet: KubeTransport;
    beforeAll(() => {
      kubelet = as("system:node:node-1", "system:nodes", "system:authenticated");
    });

    test("nothing without the chart's right to the audience", async () => {
      expect(await ask(kubelet)).toMatch(/^403 .*audience/s);
    });

    describe("and that right", () => {
      beforeAll(async () => {
        await render({ credentials: "kubelet" });
        await until("kubelet may ask", async () => ((await ask(kubelet)) === "token" ? true : undefined));
      });

      test.for<[string, Ask, RegExp]>([
        ["a pod of this node", {}, /^token$/],
        ["in any namespace", { namespace: "team-b" }, /^token$/],
        ["not a pod of another node", { pod: "on-node-2" }, /^403 /],
        ["not another audience", { audience: "sts.amazonaws.com" }, /^403 /],
        ["not an unbound token", { bound: false }, /^403 /],
        ["not a pod that is gone", { uid: "00000000-0000-0000-0000-000000000000" }, /^4\d\d /],
      ])("%s", async ([, what, outcome]) => {
        expect(await ask(kubelet, what)).toMatch(outcome);
      });

      test("not the API server's own audience", async () => {
        expect(await ask(kubelet, { audience: controlPlane.url })).toMatch(/^403 /);
      });

      test("NMI's own ServiceAccount gets none", async () => {
        expect(await ask(as(NMI, "system:serviceaccounts", "system:authenticated"))).toMatch(/^403 /);
      });
    });
  });

  describe("with NMI's own rights", () => {
    let nmi: KubeTransport;
    beforeAll(async () => {
      nmi = as(NMI, "system:serviceaccounts", "system:authenticated");
      await render({ credentials: "service-account", namespaces: ["team-a"] });
      await until("the Role and the policy are in force", async () => {
        const [own, other] = [await ask(nmi), await ask(nmi, { audience: "other" })];
        return own === "token" && other !== "token" ? true : undefined;
      });
    });

    test.for<[string, Ask, RegExp]>([
      ["a pod of a listed namespace", {}, /^token$/],
      // The residual risk that the documentation names: nobody can see which node asks.
      ["of whatever node", { pod: "on-node-2" }, /^token$/],
      ["not of another namespace", { namespace: "team-b" }, /^403 /],
      ["not another audience", { audience: "sts.amazonaws.com" }, /NMI may ask for tokens of the audience api/],
      ["not an unbound token", { bound: false }, /NMI may ask for tokens that are bound to a pod/],
      ["not for longer than an hour", { seconds: 7200 }, /NMI may ask for tokens of at most an hour/],
    ])("%s", async ([, what, outcome]) => {
      expect(await ask(nmi, what)).toMatch(outcome);
    });

    test("the policy is about NMI alone", async () => {
      expect(await ask(admin, { audience: "other", bound: false })).toBe("token");
    });

    test("NMI can see that its right reaches no further", async () => {
      const review = await nmi.request<{ status: { allowed: boolean } }>({
        method: "POST",
        path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        body: {
          spec: { resourceAttributes: { verb: "create", resource: "serviceaccounts", subresource: "token" } },
        },
      });
      expect(review.status.allowed).toBe(false);
    });
  });
});
