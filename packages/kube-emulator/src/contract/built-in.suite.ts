import { generateKeyPairSync } from "node:crypto";
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify, SignJWT } from "jose";
import type { JSONWebKeySet } from "jose";
import { expect, test } from "vitest";
import { at, listAt, textAt } from "../json.ts";
import type { Fixture } from "./fixture.ts";
import { STRATEGIC, TABLE } from "./wire.ts";

/** Pods, events, tokens and reviews. */
export function builtInContract(fixture: () => Fixture): void {
  test("a pod gets its defaults, its ServiceAccount has to exist, its spec stays", async () => {
    const { wire, core, pod } = fixture();
    const created = await wire.post(`${core}/pods`, pod("b-1"));
    expect(created).toMatchObject({
      status: 201,
      body: {
        spec: {
          restartPolicy: "Always",
          terminationGracePeriodSeconds: 30,
          serviceAccountName: "default",
          schedulerName: "default-scheduler",
          dnsPolicy: "ClusterFirst",
        },
        status: { phase: "Pending", qosClass: "BestEffort" },
      },
    });
    expect((await wire.post(`${core}/pods`, pod("b-2", {}, { serviceAccountName: "nobody" }))).status).toBe(403);
    expect(await wire.post(`${core}/pods`, { metadata: { name: "b-2" }, spec: {} })).toMatchObject({
      status: 422,
      body: { message: expect.stringContaining("spec.containers: Required value") as string },
    });
    expect(await wire.patch(`${core}/pods/b-1`, STRATEGIC, { spec: { hostname: "other" } })).toMatchObject({
      status: 422,
      body: { message: expect.stringContaining("pod updates may not change fields other than") as string },
    });
  });

  test("binding gives a pod to a node, once", async () => {
    const { wire, core } = fixture();
    const bind = (node: string) =>
      wire.post(`${core}/pods/b-1/binding`, {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { name: "b-1" },
        target: { kind: "Node", name: node },
      });
    expect(await bind("n-1")).toMatchObject({ status: 201, body: { kind: "Status", status: "Success" } });
    expect(await bind("n-2")).toMatchObject({
      status: 409,
      body: { message: expect.stringContaining('pod b-1 is already assigned to node "n-1"') as string },
    });
    expect((await wire.get(`${core}/pods/b-1`)).body).toMatchObject({
      metadata: { generation: 1 },
      spec: { nodeName: "n-1" },
      status: { conditions: [{ type: "PodScheduled", status: "True" }] },
    });
  });

  test("pods by node, phase and address", async () => {
    const { wire, core } = fixture();
    await wire.patch(`${core}/pods/b-1/status`, STRATEGIC, {
      status: { phase: "Running", podIP: "10.9.8.7", podIPs: [{ ip: "10.9.8.7" }] },
    });
    const found = async (selector: string): Promise<number> =>
      listAt((await wire.get(`${core}/pods?fieldSelector=${selector}`)).body, "items").length;
    expect(await found("spec.nodeName=n-1,status.phase=Running")).toBe(1);
    expect(await found("status.podIP=10.9.8.7,spec.serviceAccountName=default")).toBe(1);
    expect(await found("spec.nodeName=n-1,status.phase!=Running")).toBe(0);
    const { body } = await wire.get(`${core}/pods?fieldSelector=spec.nodeName=n-1`, { accept: TABLE });
    expect(listAt(body, "columnDefinitions").map((column) => textAt(column, "name"))).toEqual([
      "Name",
      "Ready",
      "Status",
      "Restarts",
      "Age",
      "IP",
      "Node",
      "Nominated Node",
      "Readiness Gates",
    ]);
    const cells = listAt(listAt(body, "rows")[0], "cells");
    expect([...cells.slice(0, 4), ...cells.slice(5)]).toEqual([
      "b-1",
      "0/1",
      "Running",
      "0",
      "10.9.8.7",
      "n-1",
      "<none>",
      "<none>",
    ]);
  });

  test("events in both dialects", async () => {
    const { wire, core, namespace } = fixture();
    const event = {
      metadata: { name: "e-1" },
      involvedObject: { kind: "Pod", name: "b-1", namespace },
      reason: "Tested",
      message: "seen",
      type: "Normal",
      source: { component: "suite" },
      firstTimestamp: "2026-01-01T00:00:00Z",
      lastTimestamp: "2026-01-01T00:00:00Z",
      count: 3,
    };
    expect((await wire.post(`${core}/events`, event)).status).toBe(201);
    expect((await wire.get(`/apis/events.k8s.io/v1/namespaces/${namespace}/events/e-1`)).body).toMatchObject({
      regarding: { name: "b-1" },
      note: "seen",
      deprecatedCount: 3,
      deprecatedSource: { component: "suite" },
    });
    const selected = await wire.get(`${core}/events?fieldSelector=involvedObject.name=b-1,reason=Tested`);
    expect(listAt(selected.body, "items")).toHaveLength(1);
    expect(
      (
        await wire.post(`${core}/events`, {
          ...event,
          metadata: { name: "e-2" },
          involvedObject: { kind: "Pod", namespace: "other", name: "x" },
        })
      ).status,
    ).toBe(422);
  });

  test("TokenRequest: claims, binding, and what is refused", async () => {
    const { wire, core, namespace } = fixture();
    const ask = (spec: object, account = "default") => wire.post(`${core}/serviceaccounts/${account}/token`, { spec });
    const pod = (await wire.get(`${core}/pods/b-1`)).body;
    const bound = { kind: "Pod", apiVersion: "v1", name: "b-1", uid: textAt(pod, "metadata", "uid") };
    const granted = await ask({
      audiences: ["api://AzureADTokenExchange"],
      expirationSeconds: 3600,
      boundObjectRef: bound,
    });
    expect(granted).toMatchObject({
      status: 201,
      body: { kind: "TokenRequest", spec: { audiences: ["api://AzureADTokenExchange"], expirationSeconds: 3600 } },
    });
    const claims = decodeJwt(textAt(granted.body, "status", "token"));
    expect(claims).toMatchObject({
      aud: ["api://AzureADTokenExchange"],
      sub: `system:serviceaccount:${namespace}:default`,
      "kubernetes.io": {
        namespace,
        pod: { name: "b-1", uid: bound.uid },
        serviceaccount: { name: "default" },
        node: { name: "n-1" },
      },
    });
    expect(Number(at(claims, "exp")) - Number(at(claims, "iat"))).toBe(3600);
    expect(Date.parse(textAt(granted.body, "status", "expirationTimestamp"))).toBe(Number(at(claims, "exp")) * 1000);
    expect((await ask({ expirationSeconds: 5 })).status).toBe(422);
    expect((await ask({ boundObjectRef: { ...bound, uid: "wrong" } })).status).toBe(409);
    expect((await ask({ boundObjectRef: { ...bound, name: "none" } })).status).toBe(404);
    await wire.post(`${core}/serviceaccounts`, { metadata: { name: "other" } });
    expect(await ask({ boundObjectRef: bound }, "other")).toMatchObject({
      status: 400,
      body: { message: expect.stringContaining("pod running with different serviceaccount name") as string },
    });
    expect((await ask({}, "nobody")).status).toBe(404);
  });

  test("tokens are signed by the key that discovery leads to", async () => {
    const { wire, core } = fixture();
    const token = textAt(
      (await wire.post(`${core}/serviceaccounts/default/token`, { spec: { audiences: ["someone"] } })).body,
      "status",
      "token",
    );
    const discovery = (await wire.get("/.well-known/openid-configuration")).body;
    expect(discovery).toMatchObject({
      issuer: at(decodeJwt(token), "iss"),
      id_token_signing_alg_values_supported: ["RS256"],
    });
    const keys = createLocalJWKSet((await wire.get("/openid/v1/jwks")).body as JSONWebKeySet);
    await expect(jwtVerify(token, keys, { algorithms: ["RS256"], audience: "someone" })).resolves.toMatchObject({
      protectedHeader: { alg: "RS256", kid: expect.any(String) as string },
    });
  });

  test("TokenReview knows a token, its audience and its pod", async () => {
    const { wire, core, namespace } = fixture();
    const asked = await wire.post(`${core}/serviceaccounts/default/token`, {
      spec: { audiences: ["here"], boundObjectRef: { kind: "Pod", apiVersion: "v1", name: "b-1" } },
    });
    const token = textAt(asked.body, "status", "token");
    const review = async (spec: object): Promise<unknown> =>
      at((await wire.post("/apis/authentication.k8s.io/v1/tokenreviews", { spec })).body, "status");
    expect(await review({ token, audiences: ["here"] })).toMatchObject({
      authenticated: true,
      audiences: ["here"],
      user: {
        username: `system:serviceaccount:${namespace}:default`,
        extra: { "authentication.kubernetes.io/pod-name": ["b-1"] },
      },
    });
    expect(at(await review({ token }), "authenticated")).toBeUndefined();
    for (const forged of await forgeries(token))
      expect(await review({ token: forged, audiences: ["here"] })).toEqual({
        user: {},
        error: expect.stringContaining("invalid bearer token") as string,
      });
    expect(await review({ token: "nonsense" })).toMatchObject({ error: expect.any(String) as string });
  });

  test("who am I, and may I", async () => {
    const { wire } = fixture();
    const allowed = await wire.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {
      spec: { resourceAttributes: { verb: "get", resource: "pods" } },
    });
    expect(allowed).toMatchObject({
      status: 201,
      body: { kind: "SelfSubjectAccessReview", status: { allowed: true } },
    });
    expect((await wire.get("/api/v1/nodes", { authorization: "Bearer wrong" })).status).toBe(401);
  });

  test("the documents that clients begin with", async () => {
    const { wire } = fixture();
    expect((await wire.get("/version")).body).toMatchObject({
      major: "1",
      gitVersion: expect.stringMatching(/^v1\.\d+/) as string,
    });
    expect((await wire.get("/api")).body).toMatchObject({ kind: "APIVersions", versions: ["v1"] });
    for (const path of ["/healthz", "/readyz", "/livez"])
      expect(await wire.get(path)).toMatchObject({ status: 200, text: "ok" });
    const core = listAt((await wire.get("/api/v1")).body, "resources").map((resource) => textAt(resource, "name"));
    expect(core).toEqual(
      expect.arrayContaining([
        "pods",
        "pods/status",
        "pods/binding",
        "pods/log",
        "nodes",
        "serviceaccounts/token",
        "configmaps",
        "secrets",
        "events",
        "namespaces",
      ]),
    );
  });
}

/** The token for somebody else under its old signature, and by a foreign key under the same key id. */
async function forgeries(token: string): Promise<readonly string[]> {
  const [header, , signature] = token.split(".");
  const claims = { ...decodeJwt(token), sub: "system:serviceaccount:kube-system:admin" };
  const payload = Buffer.from(JSON.stringify(claims)).toString("base64url");
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const { kid = "" } = decodeProtectedHeader(token);
  const foreign = new SignJWT(decodeJwt(token)).setProtectedHeader({ alg: "RS256", kid });
  return [`${header}.${payload}.${signature}`, await foreign.sign(privateKey)];
}
