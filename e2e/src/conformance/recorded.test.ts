import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster, clientIdOf, identityResourceId } from "../cluster.ts";
import { PROGRAMS } from "./official-sdks.ts";
import { keyVaultDriver, RECORDED_CLIENTS } from "./recorded-clients.ts";
import type { Ids, RecordedClient } from "./recorded-clients.ts";
import { accepts, claimsOf, readAnswer, shows } from "./client-reading.ts";
import type { RawAnswer } from "./client-reading.ts";

const PROBED = '{"error":"invalid_request","error_description":"Required metadata header not specified"}';

let cluster: Cluster;
let mine: Ids;
let theirs: Ids;

beforeAll(async () => {
  cluster = await Cluster.start();
  const node = cluster.vm;
  await cluster.identity("mine", { selector: "mine" });
  await cluster.identity("theirs", { selector: "theirs" });
  for (const name of ["mine", "theirs"]) await cluster.pod(name, { selector: name, node });
  await cluster.pod("nobody", { node });
  await cluster.nmiReady(node);
  [mine, theirs] = [await idsOf("mine"), await idsOf("theirs")];
});
afterAll(() => cluster?.stop());

/** All three ids; the object id is the one in the identity's own token. */
async function idsOf(name: string): Promise<Ids> {
  const { body } = await cluster.token(name);
  const { oid } = claimsOf(body["access_token"] ?? "");
  return { clientId: clientIdOf(name), resourceId: identityResourceId(name), objectId: oid ?? "" };
}

/** Sends requests byte for byte, each twice on its connection; both answers of each. */
async function send(
  from: { readonly pod: string } | { readonly node: string },
  requests: readonly string[],
  to = { host: "169.254.169.254", port: 80 },
): Promise<(readonly [RawAnswer, RawAnswer])[]> {
  const command = [process.execPath, join(PROGRAMS, "send.ts"), JSON.stringify({ ...to, requests })];
  const { code, stdout, stderr } = await cluster.control.exec(from, command);
  if (code !== 0) throw new Error(stderr);
  return (JSON.parse(stdout) as string[][]).map(([first, second]) => [readAnswer(first), readAnswer(second)]);
}

function requestsOf(client: RecordedClient, ids: Ids): { readonly kind: string; readonly text: string }[] {
  return Object.entries(client.token).map(([kind, text]) => ({
    kind,
    text: text(kind === "none" ? "" : ids[kind as keyof Ids]),
  }));
}

test("22 clients with their variants", () => {
  expect(new Set(RECORDED_CLIENTS.map(({ name }) => name)).size).toBe(22);
});

describe("what breaks clients is noticed", () => {
  const good: Readonly<Record<string, unknown>> = {
    access_token: `h.${Buffer.from('{"tid":"t","xms_mirid":"/x/mine"}').toString("base64url")}.s`,
    client_id: "c",
    expires_in: "86399",
    expires_on: "1795469010",
    ext_expires_in: "86399",
    not_before: "1795382610",
    resource: "r",
    token_type: "Bearer",
  };
  const without = (...names: readonly string[]): object =>
    Object.fromEntries(Object.entries(good).filter(([name]) => !names.includes(name)));
  const failing = (body: unknown): string[] => {
    const answer = { status: 200, headers: {}, body: JSON.stringify(body) };
    return RECORDED_CLIENTS.filter((client) => accepts(client, answer) !== "token of mine").map(({ name }) => name);
  };

  test.for<[string, unknown, RegExp]>([
    ["numbers instead of texts", { ...good, expires_on: 1795469010 }, /Rust/],
    ["no expires_on", without("expires_on"), /Java.*MSAL4J.*identity 3\.4.*Rust/],
    ["no expires_in", without("expires_in"), /Python.*az CLI 2\.91.*Terraform/],
    ["no resource", without("resource"), /1\.12 \(Python\).*Rust/],
    ["no token_type", without("token_type"), /msrestazure.*Rust/],
    ["no not_before", without("not_before"), /azcopy/],
    ["expires_in last", { ...without("expires_in"), expires_in: "86399" }, /\.NET/],
    ["an empty token", { ...good, access_token: "" }, /az CLI.*Java.*\.NET/],
    ["an array", [good], /az CLI.*Go.*Java.*Rust.*\.NET/],
  ])("%s", ([, body, clients]) => {
    expect(failing(good)).toEqual([]);
    expect(failing(body).join(", ")).toMatch(clients);
  });

  test.for([
    ["a text", "no azure identity found"],
    ["nothing", ""],
    ["a nested error", '{"error":{"code":"x","message":"y"}}'],
    ["an array", "[]"],
  ])("an error that is %s", ([, body = ""]) => {
    const headers = { "content-type": "application/json; charset=utf-8" };
    expect(shows({ status: 403, headers, body })).toBe(`unreadable: ${body}`);
  });
});

describe.each(RECORDED_CLIENTS)("$name", (client) => {
  const each = (ids: Ids) => requestsOf(client, ids);

  test("reads the token of the identity that it names, and again when it repeats the request", async () => {
    const answers = await send(
      { pod: "mine" },
      each(mine).map(({ text }) => text),
    );
    expect(answers.map((both) => both.map((answer) => accepts(client, answer)))).toEqual(
      each(mine).map(() => ["token of mine", "token of mine"]),
    );
  });

  test("shows why another pod's identity is refused, for good", async () => {
    const named = each(theirs).filter(({ kind }) => kind !== "none");
    const answers = await send(
      { pod: "mine" },
      named.map(({ text }) => text),
    );
    for (const [first, again] of answers) {
      expect([first.status, again.status]).toEqual([403, 403]);
      expect(shows(first)).toMatch(/no azure identity found for request .* the pod is bound to none/);
    }
  });

  test("shows what is missing, with a status that it retries if it retries at all", async () => {
    const answers = await send(
      { pod: "nobody" },
      each(mine).map(({ text }) => text),
    );
    for (const [first] of answers)
      expect([first.status, shows(first)]).toEqual([404, expect.stringMatching(/aadpodidbinding/)]);
  });
});

test.for(RECORDED_CLIENTS.flatMap(({ name, probe }) => (probe === undefined ? [] : [[name, probe] as const])))(
  "%s: its probe is answered with exactly what IMDS says, whoever asks",
  async ([, probe]) => {
    for (const pod of ["mine", "nobody"]) {
      const [both] = await send({ pod }, [probe(mine)]);
      for (const { status, body } of both ?? []) expect([status, body]).toEqual([400, PROBED]);
    }
  },
);

test("Key Vault's CSI driver reads the token and the client id", async () => {
  const [both] = await send({ node: cluster.vm }, [keyVaultDriver("default", "mine")], {
    host: "127.0.0.1",
    port: 2579,
  });
  for (const { status, body } of both ?? []) {
    expect(status).toBe(200);
    const { token, clientid } = JSON.parse(body) as { token: Record<string, string>; clientid: string };
    expect(clientid).toBe(mine.clientId);
    expect(claimsOf(token["access_token"] ?? "")["xms_mirid"]).toMatch(/\/mine$/);
    expect(token["resource"]).toBe("https://vault.azure.net");
  }
});
