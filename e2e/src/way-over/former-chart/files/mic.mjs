// Leads, or waits to lead, as aad-pod-identity's MICs do: by a record in an annotation of the Endpoints default/aad-pod-identity-mic.
// It attaches nothing. Every line it prints is a change: `leading`, `waiting for HOLDER`, or why it could not tell.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { hostname } from "node:os";

const ANNOTATION = "control-plane.alpha.kubernetes.io/leader";
const NAME = "aad-pod-identity-mic";
const seconds = Number(process.env.LEASE_SECONDS ?? 15);
const identity = process.env.MIC_IDENTITY ?? hostname();
const server =
  process.env.KUBE_URL ?? `https://${process.env.KUBERNETES_SERVICE_HOST}:${process.env.KUBERNETES_SERVICE_PORT}`;
const token = () =>
  process.env.KUBE_TOKEN ?? readFileSync("/var/run/secrets/kubernetes.io/serviceaccount/token", "utf8");
const collection = `${server}/api/v1/namespaces/default/endpoints`;

async function ask(method, url, body) {
  const response = await fetch(url, {
    method,
    headers: { authorization: `Bearer ${token()}`, "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(seconds * 500),
  });
  if (!response.ok && response.status !== 404) throw new Error(`${method} endpoints: ${response.status}`);
  return response.status === 404 ? undefined : response.json();
}

let said = "";
const say = (what) => {
  if (what !== said) process.stdout.write(`${new Date().toISOString()} ${what}\n`);
  said = what;
};
let seen = { text: "", at: 0 };

async function elect() {
  const object = await ask("GET", `${collection}/${NAME}`);
  const text = object?.metadata.annotations?.[ANNOTATION] ?? "{}";
  if (text !== seen.text) seen = { text, at: performance.now() };
  const record = JSON.parse(text);
  const holder = record.holderIdentity ?? "";
  const free = holder === "" || holder === identity || performance.now() > seen.at + record.leaseDurationSeconds * 1000;
  if (!free) return say(`waiting for ${holder}`);
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const mine = holder === identity;
  const next = {
    holderIdentity: identity,
    leaseDurationSeconds: seconds,
    acquireTime: mine ? record.acquireTime : now,
    renewTime: now,
    leaderTransitions: (record.leaderTransitions ?? 0) + (mine || holder === "" ? 0 : 1),
  };
  const annotations = { ...object?.metadata.annotations, [ANNOTATION]: JSON.stringify(next) };
  if (object === undefined)
    await ask("POST", collection, { apiVersion: "v1", kind: "Endpoints", metadata: { name: NAME, annotations } });
  else await ask("PUT", `${collection}/${NAME}`, { ...object, metadata: { ...object.metadata, annotations } });
  say("leading");
}

if (process.env.KUBE_URL === undefined) createServer((_request, response) => response.end("Active")).listen(8080);
process.once("SIGTERM", () => process.exit(2));
for (;;) {
  try {
    await elect();
  } catch (error) {
    say(`error: ${error.message}`);
  }
  await new Promise((resolve) => setTimeout(resolve, seconds * 250));
}
