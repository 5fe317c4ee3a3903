import { API_VERSION } from "@podid/crd-types";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Cluster, clientIdOf, identityResourceId } from "../cluster.ts";
import { until } from "../until.ts";
import { officialSdks } from "./official-sdks.ts";
import type { IdKind, OfficialSdks } from "./official-sdks.ts";

/** An SDK that retries waits up to two minutes for what never comes, and this machine may be slow. */
const PATIENCE_MS = 400_000;
const ALL: readonly IdKind[] = ["none", "clientId", "resourceId", "objectId"];

interface Ask {
  readonly client: string;
  readonly kind: IdKind;
}
type Outcome = { readonly token: string } | { readonly error: string };

const sdks = await officialSdks();
let cluster: Cluster;
/** Those that retry do so for up to two minutes, so all of them at once and beside the other tests. */
const absent = new Map<OfficialSdks, Promise<Record<string, string>>>();

beforeAll(async () => {
  // A slow machine may need more than a minute from the pod to the first request of a large SDK.
  cluster = await Cluster.start(["--nmi-args=--binding-grace=10m"]);
  for (const name of ["first", "second"]) await give(name, "two-identities");
  await give("theirs", "theirs");
  const node = cluster.vm;
  await cluster.pod("bound", { selector: "two-identities", node });
  await cluster.pod("theirs", { selector: "theirs", node });
  await cluster.pod("nobody", { node });
  await cluster.nmiReady(node);
  await cluster.untilAssigned("bound", ["first", "second"]);
  await cluster.untilAssigned("theirs", ["theirs"]);
  for (const sdk of sdks.filter(({ found }) => "command" in found)) {
    const outcome = outcomes(sdk, "nobody", "first", asksOf(sdk, ["none", "clientId"]));
    outcome.catch(() => undefined);
    absent.set(sdk, outcome);
  }
}, PATIENCE_MS);
afterAll(() => cluster?.stop());

/** An identity that Azure knows by all three ids, and its binding. */
async function give(name: string, selector: string): Promise<void> {
  const id = identityResourceId(name);
  await cluster.control.addToAzure({
    userAssignedIdentities: [{ id, clientId: clientIdOf(name), principalId: objectIdOf(name) }],
  });
  const metadata = { name, namespace: "default" };
  await cluster.identities.create({
    apiVersion: API_VERSION,
    kind: "AzureIdentity",
    metadata,
    spec: { type: 0, resourceID: id, clientID: clientIdOf(name) },
  });
  await cluster.bindings.create({
    apiVersion: API_VERSION,
    kind: "AzureIdentityBinding",
    metadata,
    spec: { azureIdentity: name, selector },
  });
}

function objectIdOf(name: string): string {
  return clientIdOf(`object of ${name}`);
}

function idOf(name: string, kind: IdKind): string {
  const ids = {
    none: "",
    clientId: clientIdOf(name),
    resourceId: identityResourceId(name),
    objectId: objectIdOf(name),
  };
  return ids[kind];
}

/** Everything that the SDKs can be asked with one of these kinds of id. */
function asksOf({ clients }: OfficialSdks, kinds: readonly IdKind[]): Ask[] {
  return Object.entries(clients).flatMap(([client, able]) =>
    kinds.filter((kind) => able.includes(kind)).map((kind) => ({ client, kind })),
  );
}

/** Lets the SDKs ask for that identity in the pod; ask → whose token, or the error's text. */
async function outcomes(
  sdk: OfficialSdks,
  pod: string,
  identity: string,
  asks: readonly Ask[],
): Promise<Record<string, string>> {
  if ("why" in sdk.found) throw new Error(sdk.found.why);
  const words = asks.map(({ client, kind }) => [client, kind, idOf(identity, kind)].join(","));
  const { code, stdout, stderr } = await cluster.control.exec({ pod }, [...sdk.found.command, ...words], PATIENCE_MS);
  if (code !== 0) throw new Error(`${sdk.name} ended with ${code}: ${stderr}`);
  const answers = JSON.parse(stdout) as Outcome[];
  return Object.fromEntries(
    asks.map((ask, index) => [title(ask), whose(answers[index] ?? { error: "no answer at all" })]),
  );
}

function title({ client, kind }: Ask): string {
  return `${client} by ${kind}`;
}

function whose(outcome: Outcome): string {
  // Go shows the body as it is on the wire, with its escapes; az breaks lines.
  if ("error" in outcome) return outcome.error.replaceAll("\\", "").replaceAll(/\s+/g, " ");
  const claims = JSON.parse(Buffer.from(outcome.token.split(".")[1] ?? "", "base64url").toString("utf8")) as {
    xms_mirid: string;
    appid: string;
  };
  const name = claims.xms_mirid.split("/").at(-1) ?? "";
  return claims.appid === clientIdOf(name) ? `token of ${name}` : `token of ${claims.appid} for ${name}`;
}

/** What NMI itself says to that request, so that a test can look for it in what an SDK makes of it. */
async function explanation(pod: string, identity: string, kind: IdKind): Promise<{ status: number; text: string }> {
  const parameters: Record<IdKind, string | undefined> = {
    none: undefined,
    clientId: "client_id",
    resourceId: "msi_res_id",
    objectId: "object_id",
  };
  const parameter = parameters[kind];
  const answer = await cluster.token(pod, parameter === undefined ? {} : { [parameter]: idOf(identity, kind) });
  const text = (answer.body["error_description"] ?? "").replaceAll("\\", "").replaceAll(/\s+/g, " ");
  return { status: answer.status, text };
}

async function parked(node: string): Promise<number> {
  const program = `fetch("http://127.0.0.1:9090/metrics").then((r) => r.text()).then((text) => console.log(text))`;
  const { stdout } = await cluster.control.exec({ node }, [process.execPath, "-e", program]);
  return Number(/^podid_nmi_parked_requests(?:\{[^}]*\})? (\d+)/m.exec(stdout)?.[1] ?? 0);
}

describe.each(sdks)("$name", { timeout: PATIENCE_MS }, (sdk) => {
  const { found } = sdk;
  const unable = "why" in found ? found.why : "";

  test("present: the identity that is named, by every kind of id, and the default", async (context) => {
    if (unable !== "") context.skip(unable);
    const asks = asksOf(sdk, ALL);
    const expected = asks.map((ask) => [title(ask), ask.kind === "none" ? "token of first" : "token of second"]);
    expect(await outcomes(sdk, "bound", "second", asks)).toEqual(Object.fromEntries(expected));
  });

  test("foreign: no token, and the user reads why", async (context) => {
    if (unable !== "") context.skip(unable);
    const asks = asksOf(sdk, ["clientId", "resourceId", "objectId"]);
    const expected: Record<string, unknown> = {};
    for (const ask of asks) {
      const { status, text } = await explanation("bound", "theirs", ask.kind);
      expect([status, text]).toEqual([403, expect.stringMatching(/no azure identity found/)]);
      expected[title(ask)] = expect.stringContaining(text);
    }
    expect(await outcomes(sdk, "bound", "theirs", asks)).toEqual(expected);
  });

  test("not yet: the binding comes late and ARM takes its time; the SDK's first request gets the token", async (context) => {
    if (unable !== "") context.skip(unable);
    const name = `late-${sdk.name.toLowerCase().replaceAll(" ", "-")}`;
    await cluster.pod(name, { selector: name, node: cluster.instance });
    const asks = asksOf(sdk, ALL);
    // az asks for one after the other.
    const atOnce = sdk.name === "az CLI" ? 1 : asks.length;
    const asking = outcomes(sdk, name, name, asks);
    asking.catch(() => undefined);
    await until("the SDK waits", async () => (await parked(cluster.instance)) >= atOnce, PATIENCE_MS);
    await cluster.control.addAzureFault({
      match: { service: "arm", method: "PATCH" },
      operationMs: 3_000,
      times: 1,
    });
    await give(name, name);
    expect(await asking).toEqual(Object.fromEntries(asks.map((ask) => [title(ask), `token of ${name}`])));
  });

  test("absent: the user reads what is missing, after the SDK has retried", async (context) => {
    if (unable !== "") context.skip(unable);
    const asks = asksOf(sdk, ["none", "clientId"]);
    const { status, text } = await explanation("nobody", "first", "none");
    expect([status, text]).toEqual([404, expect.stringMatching(/aadpodidbinding/)]);
    const expected = asks.map((ask) => [title(ask), expect.stringContaining(text)]);
    expect(await absent.get(sdk)).toEqual(Object.fromEntries(expected));
  });
});
