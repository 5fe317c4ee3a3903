import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { API_SERVERS } from "./api-server.ts";
import { Cluster, clientIdOf, identityResourceId, MANY_UPDATES } from "./cluster.ts";
import { until } from "./until.ts";

/**
 * What a cluster lives through on an ordinary day, on the shipped processes. One sandbox for all: each scenario has
 * its own pods, identities and selectors and leaves none behind that another would see.
 */
describe.each([...API_SERVERS])("on %s", (server) => {
  let cluster: Cluster;

  beforeAll(async () => {
    // A binding that is missing is refused at once rather than after the minute in which it may still be on its way.
    cluster = await Cluster.start([MANY_UPDATES, "--nmi-args=--binding-grace=1s", "--api-server", server]);
  });

  afterAll(async () => {
    await cluster?.stop();
  });

  test("S10 Assign, on a VM: the identity is attached to the pod's node and the pod gets its token", async () => {
    await cluster.identity("vm-one", { selector: "vm-one" });
    await cluster.pod("vm-one", { selector: "vm-one", node: cluster.vm });
    const answer = await cluster.token("vm-one");
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body)).toEqual([
      "access_token",
      "client_id",
      "expires_in",
      "expires_on",
      "ext_expires_in",
      "not_before",
      "resource",
      "token_type",
      "refresh_token",
    ]);
    expect(answer.body["client_id"]).toBe(clientIdOf("vm-one"));
    expect(cluster.whose(answer)).toBe("vm-one");
    expect(await cluster.attached(cluster.vm)).toContain("vm-one");
    expect(await cluster.attached(cluster.instance)).not.toContain("vm-one");
  });

  test("S32 Shared identity on VMSS: it goes to the scale set, never to an instance", async () => {
    await cluster.identity("set-one", { selector: "set-one" });
    await cluster.pod("set-one", { selector: "set-one", node: cluster.instance });
    expect(cluster.whose(await cluster.token("set-one"))).toBe("set-one");
    expect(await cluster.attached(cluster.instance)).toContain("set-one");
    const patches = (await cluster.control.azureRequests({ service: "arm", method: "PATCH" })).filter(({ path }) =>
      path.includes("virtualMachineScaleSets"),
    );
    expect(patches.length).toBeGreaterThan(0);
    expect(patches.filter(({ path }) => /virtualMachineScaleSets\/[^/]+\/virtualMachines/i.test(path))).toEqual([]);
  });

  test("two pods share an identity: it stays until the last of them has gone", async () => {
    await cluster.identity("shared", { selector: "shared" });
    await cluster.pod("shared-a", { selector: "shared", node: cluster.vm });
    await cluster.pod("shared-b", { selector: "shared", node: cluster.vm });
    await cluster.untilAssigned("shared-a", ["shared"]);
    await cluster.untilAssigned("shared-b", ["shared"]);
    await cluster.deletePod("shared-a");
    await cluster.untilAssigned("shared-a", []);
    expect(await cluster.attached(cluster.vm)).toContain("shared");
    expect(cluster.whose(await cluster.token("shared-b"))).toBe("shared");
    await cluster.deletePod("shared-b");
    await until("the identity is detached", async () => !(await cluster.attached(cluster.vm)).includes("shared"));
  });

  test("a pod with two identities names the one it means, or gets the same default every time", async () => {
    await cluster.identity("two-a", { selector: "two" });
    await cluster.identity("two-b", { selector: "two" });
    await cluster.pod("two", { selector: "two", node: cluster.vm });
    await cluster.untilAssigned("two", ["two-a", "two-b"]);
    expect(cluster.whose(await cluster.token("two", { client_id: clientIdOf("two-b").toUpperCase() }))).toBe("two-b");
    expect(cluster.whose(await cluster.token("two", { msi_res_id: identityResourceId("two-a") }))).toBe("two-a");
    expect(cluster.whose(await cluster.token("two", { mi_res_id: identityResourceId("two-b") }))).toBe("two-b");
    const defaults = await Promise.all([1, 2, 3].map(async () => cluster.whose(await cluster.token("two"))));
    expect(defaults).toEqual(["two-a", "two-a", "two-a"]);
  });

  test("S11 Pod deleted: nothing of it is left, in the cluster or in Azure", async () => {
    await cluster.identity("gone", { selector: "gone" });
    await cluster.pod("gone", { selector: "gone", node: cluster.vm });
    await cluster.untilAssigned("gone", ["gone"]);
    await cluster.deletePod("gone");
    await cluster.untilAssigned("gone", []);
    await until("the identity is detached", async () => !(await cluster.attached(cluster.vm)).includes("gone"));
  });

  test("S22 Binding deleted: the pod is refused from then on, and told why", async () => {
    await cluster.identity("unbound", { selector: "unbound" });
    await cluster.pod("unbound", { selector: "unbound", node: cluster.vm });
    expect((await cluster.token("unbound")).status).toBe(200);
    await cluster.bindings.delete("unbound-binding", "default");
    await cluster.untilAssigned("unbound", []);
    await until("the identity is detached", async () => !(await cluster.attached(cluster.vm)).includes("unbound"));
    const refused = await until("the refusal is final", async () => {
      const answer = await cluster.token("unbound");
      return answer.status === 200 ? undefined : answer;
    });
    expect(refused.status).toBe(404);
    expect(refused.body["error_description"]).toContain("unbound");
    expect(JSON.stringify(refused.body)).not.toContain("eyJ");
  });

  test("S23 Label change: one identity goes, the other comes", async () => {
    await cluster.identity("label-a", { selector: "label-a" });
    await cluster.identity("label-b", { selector: "label-b" });
    await cluster.pod("label", { selector: "label-a", node: cluster.instance });
    expect(cluster.whose(await cluster.token("label"))).toBe("label-a");
    await cluster.pods.patch("label", "default", {
      type: "merge",
      body: { metadata: { labels: { aadpodidbinding: "label-b" } } },
    });
    await cluster.untilAssigned("label", ["label-b"]);
    expect(cluster.whose(await cluster.token("label"))).toBe("label-b");
    expect((await cluster.token("label", { client_id: clientIdOf("label-a") })).status).toBe(403);
    await until(
      "the first identity is detached",
      async () => !(await cluster.attached(cluster.instance)).includes("label-a"),
    );
  });

  test("a foreign identity is refused at once, with words", async () => {
    await cluster.identity("mine", { selector: "mine" });
    await cluster.identity("theirs", { selector: "theirs" });
    await cluster.pod("mine", { selector: "mine", node: cluster.vm });
    await cluster.pod("theirs", { selector: "theirs", node: cluster.vm });
    await cluster.untilAssigned("mine", ["mine"]);
    await cluster.untilAssigned("theirs", ["theirs"]);
    const refused = await cluster.token("mine", { client_id: clientIdOf("theirs") });
    expect(refused.status).toBe(403);
    expect(refused.body["error_description"]).toMatch(/no azure identity found .* bound to none with this client id/);
    expect(refused.milliseconds).toBeLessThan(5000);
  });

  test("the official SDK finds the pod's identity with nothing configured", async () => {
    await cluster.identity("sdk", { selector: "sdk" });
    await cluster.pod("sdk", { selector: "sdk", node: cluster.instance });
    const program = join(import.meta.dirname, "../programs/azure-identity.ts");
    const { stdout, stderr } = await cluster.control.exec({ pod: "sdk" }, [
      process.execPath,
      program,
      clientIdOf("sdk"),
      identityResourceId("sdk"),
    ]);
    expect(stderr).toBe("");
    const mine = identityResourceId("sdk").toLowerCase();
    const answers = JSON.parse(stdout) as Record<string, string>;
    expect(Object.fromEntries(Object.entries(answers).map(([name, id]) => [name, id.toLowerCase()]))).toEqual({
      default: mine,
      managed: mine,
      clientId: mine,
      resourceId: mine,
    });
  });

  // A bare machine has no curl; the example is the README's all the same.
  test.runIf(spawnSync("curl", ["--version"]).status === 0)(
    "the README's curl example answers with IMDS's JSON",
    async () => {
      await cluster.identity("curl", { selector: "curl" });
      await cluster.pod("curl", { selector: "curl", node: cluster.vm });
      const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");
      const example =
        /npx podid sandbox exec default\/demo -- \\\n\s*(curl [^`]*?)\n```/.exec(readme)?.[1] ??
        "no example in README.md";
      const { code, output } = await cluster.sandbox.podid(
        "sandbox",
        "exec",
        "default/curl",
        "--",
        "sh",
        "-c",
        example,
      );
      if (/curl: not found/.test(output))
        throw new Error("this machine has no curl: install it to run the README's example");
      expect(code).toBe(0);
      expect(Object.keys(JSON.parse(output) as object)).toContain("access_token");
    },
  );

  test("watches are cut and history is compacted: nothing is missed", async () => {
    await cluster.identity("cut", { selector: "cut" });
    await cluster.control.cutWatches();
    await cluster.pod("cut-a", { selector: "cut", node: cluster.vm });
    await cluster.control.compact();
    await cluster.control.cutWatches();
    await cluster.pod("cut-b", { selector: "cut", node: cluster.instance });
    expect(cluster.whose(await cluster.token("cut-a"))).toBe("cut");
    expect(cluster.whose(await cluster.token("cut-b"))).toBe("cut");
    await cluster.control.cutWatches();
    await cluster.deletePod("cut-a");
    await cluster.untilAssigned("cut-a", []);
  });

  // These use up what may be asked of ARM in a short time, so they come last.
  test("S25 40 pods: every one of them gets the token of its own identity", async () => {
    const selectors = [0, 1, 2, 3, 4].map((n) => `forty-${n}`);
    for (const selector of selectors) await cluster.identity(selector, { selector });
    const pods = Array.from({ length: 40 }, (_, n) => ({ name: `forty-pod-${n}`, selector: selectors[n % 5] ?? "" }));
    await Promise.all(
      pods.map(({ name, selector }, n) =>
        cluster.pod(name, { selector, node: n % 2 === 0 ? cluster.vm : cluster.instance }),
      ),
    );
    for (const { name, selector } of pods) {
      await cluster.untilAssigned(name, [selector], 150_000);
      expect(cluster.whose(await cluster.token(name))).toBe(selector);
    }
    await Promise.all(pods.map(({ name }) => cluster.deletePod(name)));
  });

  test("S47 Existing not disturbed: the valid identity still yields tokens", async () => {
    await cluster.identity("valid", { selector: "valid" });
    await cluster.pod("valid", { selector: "valid", node: cluster.vm });
    await cluster.untilAssigned("valid", ["valid"]);
    for (const name of ["missing-1", "missing-2"]) {
      await cluster.identities.create({
        metadata: { name, namespace: "default" },
        spec: { type: 0, resourceID: identityResourceId(name), clientID: clientIdOf(name) },
      });
      await cluster.bindings.create({
        metadata: { name, namespace: "default" },
        spec: { azureIdentity: name, selector: name },
      });
      await cluster.pod(name, { selector: name, node: cluster.vm });
      await until(`ARM has refused ${name}`, async () =>
        (await cluster.events.list()).items.some(({ message }) =>
          String(message).includes(`for pod default/${name}, error:`),
        ),
      );
    }
    expect(cluster.whose(await cluster.token("valid"))).toBe("valid");
    expect(await cluster.assignments("missing-1")).toEqual({ "missing-1": "Created" });
    for (const name of ["missing-1", "missing-2"]) await cluster.deletePod(name);
  });

  test("nothing of all this reached a machine's own metadata service", async () => {
    expect(await cluster.rawRequests()).toEqual([]);
  });
});
