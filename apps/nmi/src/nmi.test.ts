import { redactClientId } from "@podid/crd-types";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { clientId, MACHINE, NodeHarness, RESOURCE, resourceId } from "../test/node-harness.ts";
import type { Answer } from "../test/node-harness.ts";

let node: NodeHarness;
beforeAll(async () => {
  node = await NodeHarness.start();
  for (const name of ["mic-account", "other"]) await node.serviceAccount(name);
});
afterEach(() => node.reset());
afterAll(() => node.stop());

/** The machine may be busy; the condition is what counts. */
function soon<T>(look: () => T): ReturnType<typeof expect.poll<T>> {
  return expect.poll(look, { timeout: 10_000, interval: 10 });
}

function short({ status, json }: Answer): string {
  return `${status} ${json["error"] ?? ""}`.trim();
}

async function settled(promise: Promise<unknown>): Promise<boolean> {
  return Promise.race([
    promise.then(() => true),
    new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 50)),
  ]);
}

describe("tokens", () => {
  test("S60 a bound pod gets IMDS's own bytes, asked for by resource id", async () => {
    const { address } = await node.bound("p", 1);
    await node.startNmi();
    const answer = await node.token(address);
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(answer.headers["content-length"]).toBe(String(Buffer.byteLength(answer.body)));
    expect(Object.keys(answer.json)).toEqual([
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
    expect(answer.json).toMatchObject({ client_id: clientId(1), resource: RESOURCE, refresh_token: "" });
    for (const value of Object.values(answer.json)) expect(value).toBeTypeOf("string");
    expect(node.imdsRequests()).toEqual([
      `/metadata/identity/oauth2/token?api-version=2018-02-01&msi_res_id=${encodeURIComponent(resourceId("id1"))}&resource=${encodeURIComponent(RESOURCE)}`,
    ]);
  });

  test("one IMDS request for two hundred at once", async () => {
    const { address } = await node.bound("p", 1);
    await node.startNmi();
    const answers = await Promise.all(Array.from({ length: 200 }, () => node.token(address)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(node.imdsRequests()).toHaveLength(1);
  });

  test("S70 selection over the wire", async () => {
    const one = await node.bound("p", 1);
    const second = await node.identity("a-second", 2);
    const binding = await node.binding("a-binding", "a-second", "p");
    await node.assigned(one.pod, second, binding, "Assigned");
    await node.startNmi();
    const asked = async (query: string): Promise<string | undefined> => {
      const answer = await node.token(one.address, query);
      return answer.json["client_id"] ?? short(answer);
    };
    expect(await asked("")).toBe(clientId(2));
    expect(await asked(`&client_id=${clientId(1).toUpperCase()}`)).toBe(clientId(1));
    expect(await asked(`&msi_res_id=${resourceId("id1")}`)).toBe(clientId(1));
    expect(await asked(`&mi_res_id=${encodeURIComponent(resourceId("ID2").toUpperCase())}`)).toBe(clientId(2));
    expect(await asked(`&client_id=${encodeURIComponent(resourceId("id1"))}`)).toBe("403 identity-not-bound");
    expect(await asked(`&msi_res_id=${clientId(1)}`)).toBe("403 identity-not-bound");
    expect(await asked(`&client_id=${clientId(1)}&msi_res_id=${resourceId("id1")}`)).toBe("400 invalid_request");
    expect(node.logLines.join("")).toContain(
      `clientID in request: ${redactClientId(clientId(1).toUpperCase())}, default/p has been matched with azure identity default/p-id`,
    );
    expect(node.logLines.join("")).toContain("several identities match");
  });

  test("another pod's identity is refused, in words", async () => {
    const { address } = await node.bound("p", 1);
    await node.bound("q", 2);
    await node.startNmi();
    const answer = await node.token(address, `&client_id=${clientId(2)}`);
    expect(short(answer)).toBe("403 identity-not-bound");
    expect(answer.json["error_description"]).toContain("no azure identity found for request clientID");
    expect(answer.body).not.toContain(clientId(2));
    expect(node.imdsRequests()).toEqual([]);
  });

  test("an AzureIdentity that names another's client id gets nobody's token", async () => {
    const identity = await node.identity("evil", 1, { spec: { clientID: clientId(2) } });
    const binding = await node.binding("evil", "evil", "evil");
    const { address, object } = await node.pod("evil", "evil");
    await node.assigned(object, identity, binding, "Assigned");
    await node.startNmi();
    expect(short(await node.token(address))).toBe("403 identity-mismatch");
    expect(short(await node.token(address, `&client_id=${clientId(2)}`))).toBe("403 identity-mismatch");
  });

  test("S62 Identity not found right after the attachment is waited out (diverges)", async () => {
    const { address } = await node.bound("p", 3);
    await node.startNmi();
    const waiting = node.token(address);
    await soon(() => node.imdsRequests().length).toBeGreaterThan(1);
    node.azure.state.attach(MACHINE, resourceId("id3"));
    expect((await waiting).json["client_id"]).toBe(clientId(3));
  });

  test.for([
    ["IMDS that answers 500", { respond: { status: 500, body: "oops" } }, "503 source-unavailable"],
    [
      "IMDS that throttles",
      {
        respond: {
          status: 429,
          body: { error: "invalid_request", error_description: "Temporarily throttled, too many requests" },
        },
      },
      "503 source-unavailable",
    ],
    ["IMDS that breaks off", { reset: true }, "503 source-unavailable"],
    [
      "a resource that Entra does not know",
      { respond: { status: 400, body: { error: "invalid_resource", error_description: "AADSTS500011: x" } } },
      "403 imds-refused",
    ],
  ] as const)("S62 %s", async ([, fault, want]) => {
    const { address } = await node.bound("p", 1);
    node.azure.state.faults.add({ match: { service: "imds", operation: "token" }, ...fault });
    await node.startNmi();
    expect(short(await node.token(address))).toBe(want);
  });
});

describe("waiting", () => {
  test("answered within milliseconds of Assigned", async () => {
    const { address, assigned } = await node.bound("p", 1, "Created");
    await node.startNmi();
    const answer = node.token(address);
    expect(await settled(answer)).toBe(false);
    await node.setAssigned(assigned, "Assigned");
    expect((await answer).status).toBe(200);
  });

  test("S72 with upstream's budgets 404, by default 504", async () => {
    const { address } = await node.bound("p", 1, "Created");
    await node.startNmi("--retry-attempts-for-created=0", "--retry-attempts-for-assigned=0");
    await node.ready();
    const answer = await node.token(address);
    expect(answer.status).toBe(404);
    expect(answer.json["error_description"]).toContain(
      "getting assigned identities for pod default/p in ASSIGNED state failed after 0 attempts, retry duration [5]s, error: <nil>. Check MIC pod logs for identity assignment errors",
    );
    await node.nmi?.stop();
    await node.startNmi("--max-wait=50ms");
    await node.ready();
    const late = await node.token(address);
    expect([late.status, Number(late.headers["retry-after"]) <= 3]).toEqual([504, true]);
  });

  test("S68 a pod that the API server shows later", async () => {
    await node.startNmi();
    const identity = await node.identity("i", 1);
    const binding = await node.binding("b", "i", "s");
    const answer = node.token("127.0.0.77");
    expect(await settled(answer)).toBe(false);
    const { object } = await node.pod("late", "s", { address: "127.0.0.77" });
    await node.assigned(object, identity, binding, "Assigned");
    expect((await answer).status).toBe(200);
  });

  test("an unlabelled pod is told at once", async () => {
    const { address } = await node.pod("plain");
    await node.startNmi();
    expect(short(await node.token(address))).toBe("404 pod-not-labelled");
  });

  test("S22 a deleted binding or identity ends it at once, cached or not", async () => {
    const { address, binding } = await node.bound("p", 1);
    await node.startNmi("--binding-grace=0s");
    await node.ready();
    expect((await node.token(address)).status).toBe(200);
    await node.client("azureIdentityBindings").delete(binding.metadata.name, "default");
    await soon(async () => short(await node.token(address))).toBe("404 no-binding");
    const other = await node.bound("q", 2);
    await soon(async () => (await node.token(other.address)).status).toBe(200);
    await node.client("azureIdentities").delete(other.identity.metadata.name, "default");
    await soon(async () => short(await node.token(other.address))).toBe("404 identity-missing");
  });

  test("S23 a pod that loses its label loses its identity", async () => {
    const { address, pod } = await node.bound("p", 1);
    await node.startNmi();
    expect((await node.token(address)).status).toBe(200);
    await node.client("pods").patch(pod.metadata.name, "default", {
      type: "merge",
      body: { metadata: { labels: { aadpodidbinding: null } } },
    });
    await soon(async () => short(await node.token(address))).toBe("404 pod-not-labelled");
  });
});

describe("the assigned identity is only a hint", () => {
  test("one without a live binding grants nothing", async () => {
    const identity = await node.identity("i", 1);
    const { address, object } = await node.pod("p", "s");
    await node.assigned(object, identity, { metadata: { name: "forged", namespace: "default" } }, "Assigned");
    await node.startNmi("--binding-grace=0s");
    await node.ready();
    expect(short(await node.token(address))).toBe("404 no-binding");
  });

  test("an edited identity waits for MIC", async () => {
    const { address, identity } = await node.bound("p", 1);
    await node.startNmi("--max-wait=100ms");
    await node.ready();
    expect((await node.token(address)).status).toBe(200);
    await node.client("azureIdentities").patch(identity.metadata.name, "default", {
      type: "merge",
      body: { spec: { clientID: clientId(2), resourceID: resourceId("id2") } },
    });
    await soon(async () => short(await node.token(address))).toBe("504 not-attached");
  });

  test("an annotation on an identity changes nothing", async () => {
    const { address, identity } = await node.bound("p", 1);
    await node.startNmi("--max-wait=0s");
    await node.ready();
    expect((await node.token(address)).status).toBe(200);
    await node
      .client("azureIdentities")
      .patch(identity.metadata.name, "default", { type: "merge", body: { metadata: { annotations: { x: "y" } } } });
    await node.binding("marker", "nobody", "marker");
    expect((await node.token(address)).status).toBe(200);
  });

  test("MIC attaches nothing without a resource id: refused at once, unless somebody says that it is attached", async () => {
    const identity = await node.identity("i", 1, { spec: { resourceID: "" } });
    const binding = await node.binding("b", "i", "s");
    const { address, object } = await node.pod("p", "s");
    await node.startNmi();
    const answer = await node.token(address);
    expect(short(answer)).toBe("403 identity-invalid");
    expect(answer.json["error_description"]).toContain("ignoring azure identity default/i, error: invalid resource id");
    await node.assigned(object, identity, binding, "Assigned");
    await soon(async () => (await node.token(address)).json["client_id"]).toBe(clientId(1));
  });

  test("L-39 an earlier pod's is not the new one's", async () => {
    const { address, pod, assigned, identity, binding } = await node.bound("p", 1);
    await node.client("azureAssignedIdentities").delete(assigned.metadata.name, "default");
    await node.assigned(pod, identity, binding, "Assigned", { podUid: "another-uid" });
    await node.startNmi("--max-wait=100ms");
    await node.ready();
    const answer = await node.token(address);
    expect(short(answer)).toBe("504 not-attached");
    expect(answer.json["error_description"]).toContain("an earlier pod's");
  });

  test("one that upstream's MIC made, without a UID, is accepted if it is not older than the pod", async () => {
    const identity = await node.identity("i", 1);
    const binding = await node.binding("b", "i", "s");
    const { address, object } = await node.pod("p", "s");
    await node.assigned(object, identity, binding, "Assigned", { podUid: undefined });
    await node.startNmi();
    expect((await node.token(address)).status).toBe(200);
  });
});

describe("who is calling", () => {
  test("an address that two live pods claim is nobody's until one has ended", async () => {
    const { address, pod } = await node.bound("p", 1);
    const identity = await node.identity("other", 2);
    const binding = await node.binding("other", "other", "q");
    await node.startNmi();
    expect((await node.token(address)).json["client_id"]).toBe(clientId(1));
    const second = await node.pod("q", "q", { address });
    await node.assigned(second.object, identity, binding, "Assigned");
    await soon(async () => settled(node.token(address).catch(() => undefined))).toBe(false);
    const answer = node.token(address);
    await node.podStatus(pod, address, "Succeeded");
    expect((await answer).json["client_id"]).toBe(clientId(2));
  });

  test("S68 a finished pod has nothing", async () => {
    const { address, pod } = await node.bound("p", 1);
    await node.startNmi();
    expect((await node.token(address)).status).toBe(200);
    await node.podStatus(pod, address, "Succeeded");
    // From now on the address is unknown, which waits for the pod that may be coming.
    await soon(async () => settled(node.token(address).catch(() => undefined))).toBe(false);
  });

  test("the node itself is told that it gets nothing here", async () => {
    await node.startNmi();
    expect(short(await node.token("127.0.0.1"))).toBe("403 pod-host-network");
  });
});

describe("exceptions", () => {
  test("S65 an excepted pod talks to IMDS as the node does", async () => {
    await node.exception("e", { thispod: "shouldexcept" });
    const { address } = await node.pod("p", undefined, { labels: { thispod: "shouldexcept" } });
    await node.startNmi();
    expect((await node.token(address, `&client_id=${clientId(2)}`)).json["client_id"]).toBe(clientId(2));
    const system = await node.token(address);
    expect(system.status).toBe(200);
    expect([clientId(1), clientId(2)]).not.toContain(system.json["client_id"]);
    // Diverges from upstream's 403: IMDS's own answer.
    const unknown = await node.token(address, `&client_id=${clientId(9)}`);
    expect([unknown.status, unknown.json["error_description"]]).toEqual([400, "Identity not found"]);
    expect("refresh_token" in system.json).toBe(false);
  });

  test("S66 MIC by its ServiceAccount and namespace, never by a name", async () => {
    const mic = await node.pod("aad-pod-identity-x", undefined, { serviceAccount: "mic-account" });
    const lookalike = await node.pod("mic-5f7d9", undefined, { serviceAccount: "other" });
    await node.startNmi("--mic-service-account=mic-account");
    expect((await node.token(mic.address)).status).toBe(200);
    expect(short(await node.token(lookalike.address))).toBe("404 pod-not-labelled");
  });

  test("S67 ReplicaSet of a pod: whoever a pod says it belongs to grants it nothing", async () => {
    const { address, object } = await node.pod("mic-5f7d9-x", undefined, { serviceAccount: "other" });
    const owners = [
      ["apps/v1", "Kind0", "test0"],
      ["apps/v1", "ReplicaSet", "mic-5f7d9"],
      ["apps/v1", "Kind2", "test2"],
    ].map(([apiVersion, kind, name], at) => ({
      apiVersion,
      kind,
      name,
      uid: `00000000-0000-0000-0000-00000000000${at}`,
    }));
    await node
      .client("pods")
      .patch(object.metadata.name, "default", { type: "merge", body: { metadata: { ownerReferences: owners } } });
    await node.startNmi("--mic-service-account=mic-account");
    expect(short(await node.token(address))).toBe("404 pod-not-labelled");
  });
});

describe("other routes", () => {
  test("S53 and S54: a request without the header is answered before anybody is looked up", async () => {
    node.kube.faults.refuse();
    await node.startNmi();
    const answer = await node.get("127.0.0.99", "/metadata/identity/oauth2/token", { headers: {} });
    expect([answer.status, answer.body]).toEqual([
      400,
      '{"error":"invalid_request","error_description":"Required metadata header not specified"}',
    ]);
    node.kube.faults.accept();
  });

  test("S53 the header may be made optional; S55 and S56 hold then as well", async () => {
    const { address } = await node.bound("p", 1);
    await node.startNmi("--metadata-header-required=false");
    const ask = (query: string): Promise<Answer> =>
      node.get(address, `/metadata/identity/oauth2/token?${query}`, { headers: {} });
    expect((await ask(`resource=https://vault.azure.net&client_id=${clientId(1)}`)).status).toBe(200);
    expect((await ask(`mi_res_id=${resourceId("id1")}&resource=https://vault.azure.net`)).status).toBe(200);
    const missing = await ask("api-version=2018-02-01");
    expect([missing.status, missing.json["error_description"]]).toEqual([400, "parameter resource cannot be empty"]);
  });

  test("S58 instance metadata passes through, or is blocked", async () => {
    await node.startNmi();
    const answer = await node.get("127.0.0.99", "/metadata/instance?api-version=2021-02-01");
    expect(answer.status).toBe(200);
    expect((JSON.parse(answer.body) as { compute: { name: string } }).compute.name).toBe("node-1");
    await node.nmi?.stop();
    await node.startNmi("--block-instance-metadata");
    const blocked = await node.get("127.0.0.99", "/Metadata/Instance/compute");
    expect([blocked.status, blocked.json["error_description"]]).toEqual([
      403,
      "Request blocked by AAD Pod Identity NMI",
    ]);
  });

  test("S57 the CVE's paths never reach IMDS", async () => {
    await node.startNmi();
    for (const path of [
      "/metadata/identity\\oauth2/token/",
      "/metadata/identity%5Coauth2/token",
      "/metadata/Identity/oauth2/token",
      "/metadata/identity/oauth2/tokens",
    ]) {
      expect([400, 404]).toContain((await node.get("127.0.0.99", path)).status);
    }
    expect(node.imdsRequests()).toEqual([]);
  });
});

describe("S63 the host token endpoint", () => {
  const ask = (from: string, pod: string, query = `?resource=${RESOURCE}`): Promise<Answer> =>
    node.get(from, `/host/token/${query}`, { headers: { podns: "default", podname: pod } });

  test("S63 a process of the host gets the pod's token in upstream's shape, waiting as the pod would", async () => {
    const { assigned } = await node.bound("p", 1, "Created");
    await node.startNmi();
    const waiting = ask("127.0.0.1", "p");
    expect(await settled(waiting)).toBe(false);
    await node.setAssigned(assigned, "Assigned");
    const { status, body } = await waiting;
    const answer = JSON.parse(body) as { token: Record<string, string>; clientid: string };
    expect([status, answer.clientid, answer.token["resource"]]).toEqual([200, clientId(1), RESOURCE]);
    const fields = "access_token refresh_token expires_in expires_on not_before resource token_type";
    expect(Object.keys(answer.token).join(" ")).toBe(fields);
    await soon(() => node.metrics()).toContain(
      `operation_type="/host/token",status_code="200",namespace="default",resource="${RESOURCE}"`,
    );
  });

  test("S63 only what the pod may have, and only of pods of this node", async () => {
    await node.bound("p", 1);
    await node.bound("q", 2);
    await node.startNmi("--max-wait=100ms");
    await node.ready();
    expect(short(await ask("127.0.0.1", "p", `?resource=${RESOURCE}&client_id=${clientId(2)}`))).toBe(
      "403 identity-not-bound",
    );
    expect(short(await ask("127.0.0.1", "elsewhere"))).toBe("500 pod-unknown");
    expect(node.imdsRequests()).toEqual([]);
  });

  test("S63 a pod that names another one is not a process of the host", async () => {
    const { address } = await node.bound("p", 1);
    await node.bound("q", 2);
    await node.startNmi();
    const answer = await ask(address, "q");
    expect([short(answer), answer.json["error_description"]]).toEqual([
      "500 not-from-host",
      "request remote address is not from a host",
    ]);
    expect(node.imdsRequests()).toEqual([]);
  });

  test("S63 without headers or a resource", async () => {
    await node.startNmi();
    const without = await node.get("127.0.0.1", "/host/token/?resource=r", { headers: {} });
    expect([without.status, without.json["error_description"]]).toEqual([
      400,
      "missing 'podname' and 'podns' from request header",
    ]);
    const missing = await ask("127.0.0.1", "p", "");
    expect([missing.status, missing.json["error_description"]]).toEqual([400, "parameter resource cannot be empty"]);
  });

  test.for(["off", "unix"])("S63 --host-token=%s", async (how) => {
    await node.bound("p", 1);
    await node.startNmi(`--host-token=${how}`, `--host-token-socket=${join(mkdtempSync(join(tmpdir(), "nmi-")), "s")}`);
    expect(short(await ask("127.0.0.1", "p"))).toBe("404 not_found");
  });
});

describe("what is told", () => {
  test("the audit: every refusal kind, and the first answer of each token to each pod", async () => {
    const { address } = await node.bound("p", 1);
    await node.startNmi();
    for (let count = 0; count < 5; count++) await node.token(address);
    for (let count = 0; count < 5; count++) await node.token(address, `&client_id=${clientId(2)}`);
    await node.get(address, "/metadata/identity/other");
    const records = node.auditLines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(records).toMatchObject([
      {
        event: "token",
        pod: { namespace: "default", name: "p" },
        serviceAccount: "default",
        identity: { namespace: "default", name: "p-id", type: 0 },
        resource: RESOURCE,
        remote: address,
      },
      { event: "refused", reason: "identity-not-bound", status: 403, pod: { name: "p" } },
      { event: "refused", reason: "unknown-identity-path", status: 404, remote: address },
    ]);
    expect(node.auditLines.join("")).not.toContain(clientId(1));
    await node.nmi?.stop();
    node.nmi = undefined;
    expect(node.auditLines.slice(3).map((line) => (JSON.parse(line) as { repeats: number }).repeats)).toEqual([4, 4]);
  });

  test("refusals that repeat themselves are logged now and then", async () => {
    const { address } = await node.pod("plain");
    await node.startNmi();
    for (let count = 0; count < 20; count++) await node.token(address);
    const lines = node.logLines.filter((line) => line.includes("reg.path=/metadata/identity/oauth2/token"));
    expect(lines).toHaveLength(5);
  });

  test("L-27 a pod is told by an event that its request could have meant several identities", async () => {
    const one = await node.bound("p", 1);
    const second = await node.identity("a-second", 2);
    const binding = await node.binding("a-binding", "a-second", "p");
    await node.assigned(one.pod, second, binding, "Assigned");
    await node.startNmi();
    await node.token(one.address, `&client_id=${clientId(1)}`);
    for (let count = 0; count < 3; count++) await node.token(one.address);
    const events = async (): Promise<readonly unknown[]> => (await node.client("events").list()).items;
    await soon(events).toMatchObject([
      {
        type: "Warning",
        reason: "AmbiguousIdentity",
        count: 1,
        involvedObject: { kind: "Pod", name: "p", uid: one.pod.metadata.uid },
        message: expect.stringContaining("2 identities match") as string,
      },
    ]);
  });
});

describe("life of the process", () => {
  test("the API server away: rules are in, nothing is answered, not ready; then it serves", async () => {
    const { address } = await node.bound("p", 1);
    node.kube.faults.refuse();
    await node.startNmi();
    expect(node.rules.ensured).toBe(1);
    expect((await node.probe("/readyz")).status).toBe(503);
    expect(await (await node.probe("/healthz")).text()).toBe("Active");
    const answer = node.token(address);
    expect(await settled(answer)).toBe(false);
    node.kube.faults.accept();
    expect((await answer).status).toBe(200);
    await soon(async () => (await node.probe("/readyz")).status).toBe(200);
  });

  test("rules that cannot be put in: not ready, serving nevertheless", async () => {
    const { address } = await node.bound("p", 1);
    node.rules.failure = new Error("iptables: nope");
    const nmi = await node.startNmi();
    expect((await node.token(address)).status).toBe(200);
    expect(nmi.notReady()).toEqual(["rules: iptables: nope"]);
    expect(await (await node.probe("/healthz")).text()).toBe("Not Active");
  });

  test("S75 stopping keeps the rules; the uninstall mark takes them out, even when it is gone by then", async () => {
    const nmi = await node.startNmi();
    await nmi.stop();
    expect(node.rules.removed).toBe(0);
    await node.startNmi();
    const mark = {
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "podid-lifecycle", namespace: "default" },
      data: { phase: "uninstalling" },
    };
    await node.client("configMaps").create(mark);
    await soon(() => node.logLines.join("")).toContain("being uninstalled");
    await node.client("configMaps").delete("podid-lifecycle", "default");
    node.kube.faults.refuse();
    await node.nmi?.stop();
    expect(node.rules.removed).toBe(1);
    node.kube.faults.accept();
  });

  test("a request that waits when it stops is told to come back", async () => {
    const { address } = await node.bound("p", 1, "Created");
    const nmi = await node.startNmi();
    const answer = node.token(address);
    expect(await settled(answer)).toBe(false);
    await nmi.stop();
    node.nmi = undefined;
    expect(await answer).toMatchObject({ status: 503, headers: { connection: "close", "retry-after": "1" } });
  });

  test("S78 metrics with upstream's names, and no label that a client can make up", async () => {
    const { address } = await node.bound("p", 1);
    await node.startNmi();
    await node.token(address);
    await node.get(address, "/metadata/identity/oauth2/token?resource=made-up", {});
    await node.get(address, "/x");
    const text = await node.metrics();
    expect(text).toMatch(
      /aadpodidentity_nmi_operations_duration_seconds_count\{operation_type="\/metadata\/identity\/oauth2\/token",status_code="200",namespace="default",resource="https:\/\/management.azure.com\/"\} 1/,
    );
    expect(text).toContain(
      'aadpodidentity_imds_operations_duration_seconds_count{operation_type="adal_token_msi_userassignedid"} 1',
    );
    expect(text).toContain('podid_nmi_token_cache_total{outcome="miss"} 1');
    expect(text).toMatch(/^podid_nmi_token_source_calls_total 2$/m);
    expect(text).toContain("podid_nmi_token_cache_entries 1");
    expect(text).toContain('podid_nmi_refusals_total{reason="not-found"} 1');
    expect(text).not.toContain("made-up");
    await node.get(address, "/Metadata/identity/oauth2/token/?api-version=2018-02-01");
    await node.get(address, "/metadata/identity/oauth2/token", { headers: {} });
    await node.get(address, "/metadata/instance", { headers: {} });
    await soon(() => node.metrics()).toMatch(
      /_operations_duration_seconds_count\{operation_type="\/metadata\/identity\/oauth2\/token",status_code="400",namespace="",resource=""\} 2/,
    );
  });

  test("neither log nor metrics nor errors ever hold a token or a whole client id", async () => {
    const { address } = await node.bound("p", 1);
    await node.startNmi("--v=5");
    const { json } = await node.token(address, `&client_id=${clientId(1)}`);
    await node.token(address, `&client_id=${clientId(2)}`);
    const everything = node.logLines.join("") + (await node.metrics());
    expect(everything).toContain("reg.path=/metadata/identity/oauth2/token");
    for (const secret of [json["access_token"] ?? "?", clientId(1), clientId(2)])
      expect(everything).not.toContain(secret);
  });
});

describe("managed mode", () => {
  test("S71 no assigned identities are needed, and other namespaces' identities do not count", async () => {
    await node.identity("i", 1);
    await node.binding("b", "i", "s");
    await node.identity("i", 2, { namespace: "kube-system" });
    await node.binding("b", "i", "s", { namespace: "kube-system" });
    const { address } = await node.pod("p", "s");
    await node.startNmi("--operation-mode=Managed", "--forceNamespaced");
    expect((await node.token(address)).json["client_id"]).toBe(clientId(1));
    expect(short(await node.token(address, `&client_id=${clientId(2)}`))).toBe("403 identity-not-bound");
    expect(node.kube.audit.find({ resource: "azureassignedidentities" })).toEqual([]);
  });

  test("an identity without a resource id is asked for by client id", async () => {
    await node.identity("i", 1, { spec: { resourceID: "", clientID: clientId(1).toUpperCase() } });
    await node.binding("b", "i", "s");
    const { address } = await node.pod("p", "s");
    await node.startNmi("--operation-mode=managed", "--forceNamespaced");
    expect((await node.token(address)).json["client_id"]).toBe(clientId(1));
    expect((await node.token(address, `&client_id=${clientId(1)}`)).status).toBe(200);
    expect(node.imdsRequests()).toEqual([expect.stringContaining(`&client_id=${clientId(1).toUpperCase()}&resource=`)]);
  });

  test.for([
    ["a resource id that is none", { resourceID: "/subscriptions/s/id1" }],
    ["neither", { resourceID: "", clientID: "" }],
  ] as const)("%s is refused in words, and IMDS is not asked", async ([, spec]) => {
    await node.identity("i", 1, { spec });
    await node.binding("b", "i", "s");
    const { address } = await node.pod("p", "s");
    await node.startNmi("--operation-mode=managed", "--forceNamespaced");
    const answer = await node.token(address);
    expect(short(answer)).toBe("403 identity-invalid");
    expect(answer.json["error_description"]).toContain("invalid resource id");
    expect(node.imdsRequests()).toEqual([]);
  });
});
