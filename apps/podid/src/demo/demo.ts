import { setTimeout as delay } from "node:timers/promises";
import { RESOURCES } from "@podid/kube";
import { identityId, SEEDED_IDENTITIES } from "../sandbox/azure-seed.ts";
import type { Terminal } from "../terminal.ts";
import type { Cluster } from "./cluster.ts";
import { diagnose } from "./diagnosis.ts";
import { EXPECTED_LINES, missingLines } from "./expected-log.ts";
import { gatherFacts, textAt, type AzureRequest } from "./facts.ts";
import type { Manifest } from "./manifests.ts";
import { askForToken, tryRefusal, type RefusalResult } from "./refusal.ts";
import { duration, Timeline } from "./timeline.ts";

/** Something did not hold; the message names the cause. */
export class DemoFailure extends Error {
  override readonly name = "DemoFailure";
}

export interface DemoResult {
  readonly timeline: Timeline;
  readonly log: readonly string[];
  readonly refusals: readonly RefusalResult[];
  /** Requests that came to raw IMDS from a pod's own address. */
  readonly leaks: readonly string[];
}

const METADATA_HEADER = { Metadata: "true" };
/** After so long without success the state is looked at; a cause that is still there a little later is the cause. */
const PATIENCE_MS = 4_000;
const CONFIRM_MS = 2_500;
const LIMIT_MS = 60_000;

/**
 * Applies the manifests and follows the pod until its four checks have succeeded, then makes requests that must be refused.
 *
 * @throws DemoFailure with the cause
 */
export async function demonstrate(
  cluster: Cluster,
  manifests: readonly Manifest[],
  terminal: Terminal,
  signal: AbortSignal,
): Promise<DemoResult> {
  const pod = podOf(manifests);
  const key = `${pod.namespace}/${pod.name}`;
  const since = Date.now();
  await cluster.control.request("DELETE", "/azure/requests");
  for (const manifest of manifests) {
    await cluster.apply(manifest);
    terminal.line(`  applied ${manifest.file}: ${manifest.resource.kind} ${manifest.object.metadata.name}`);
  }
  const timeline = new Timeline(Date.now());
  const step = (title: string, time = Date.now()): void => {
    const at = timeline.note(title, time);
    if (at !== undefined) terminal.line(`  ${duration(at).padStart(8)}  ${title}`);
  };
  const ended = new AbortController();
  const log: string[] = [];
  try {
    const succeeded = followPod(cluster, pod, { step, log, signal: AbortSignal.any([signal, ended.signal]) });
    await Promise.race([succeeded, watchForCause(cluster, pod, log, ended.signal, signal)]);
    if ((await leaks(cluster)).length > 0)
      throw new DemoFailure(
        diagnose(await gatherFacts(cluster, pod)) ??
          `requests of pod ${key} reached the raw metadata service: NMI's rules are not in the way`,
      );
    await noteRequests(cluster, key, timeline, since);
    const refusals = await refuse(cluster, manifests, terminal);
    return { timeline, log: lastLines(log), refusals, leaks: await leaks(cluster) };
  } finally {
    ended.abort();
  }
}

function podOf(manifests: readonly Manifest[]): { namespace: string; name: string } {
  const pod = manifests.find(({ resource }) => resource.kind === "Pod")?.object.metadata;
  if (pod === undefined) throw new DemoFailure("the manifests hold no Pod: nothing would use the identity");
  return { namespace: pod.namespace ?? "default", name: pod.name };
}

interface Follow {
  readonly step: (title: string, time?: number) => void;
  readonly log: string[];
  readonly signal: AbortSignal;
}

/** Resolves when the pod's log holds all four lines. */
async function followPod(cluster: Cluster, pod: { namespace: string; name: string }, o: Follow): Promise<void> {
  const key = `${pod.namespace}/${pod.name}`;
  const look = (): void => {
    const object = cluster.pods.items.get(key);
    const node = textAt(object, "spec", "nodeName");
    const running = textAt(object, "status", "phase") === "Running";
    if (running) o.step(`pod ${key} runs on ${node} as ${textAt(object, "status", "podIP")}`);
    for (const assigned of assignedOf(cluster, pod))
      o.step(`AzureAssignedIdentity ${assigned.name} is ${assigned.status === "" ? "Created" : assigned.status}`);
  };
  const stops = [cluster.pods, cluster.assigned].map((reflector) =>
    reflector.subscribe({ upsert: look, delete: look }),
  );
  try {
    look();
    const running = await cluster.until(
      () => textAt(cluster.pods.items.get(key), "status", "phase") === "Running",
      LIMIT_MS,
      o.signal,
    );
    if (!running) return await aborted(o.signal);
    for await (const text of cluster.control.stream(`/pods/${key}/logs?follow=true`, o.signal)) {
      for (const line of text.split("\n").filter((each) => each !== "")) {
        o.log.push(line);
        const expected = EXPECTED_LINES.find(({ pattern }) => pattern.test(line));
        if (expected) o.step(`demo: ${expected.title}`);
      }
      if (missingLines(o.log).length === 0) return;
    }
    // The stream ended with the container: the cause is for the watcher to find.
    await aborted(o.signal);
  } finally {
    for (const stop of stops) stop();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function assignedOf(cluster: Cluster, pod: { namespace: string; name: string }): { name: string; status: string }[] {
  return [...cluster.assigned.items.values()]
    .filter(
      (each) => textAt(each, "spec", "pod") === pod.name && textAt(each, "spec", "podNamespace") === pod.namespace,
    )
    .map((each) => ({ name: each.metadata.name, status: textAt(each, "status", "status") ?? "" }));
}

/** Never resolves; rejects with the cause once one has held for a while, or the time is over. */
async function watchForCause(
  cluster: Cluster,
  pod: { namespace: string; name: string },
  log: readonly string[],
  ended: AbortSignal,
  interrupted: AbortSignal,
): Promise<never> {
  const started = Date.now();
  await delay(PATIENCE_MS, undefined, { signal: AbortSignal.any([ended, interrupted]) }).catch(() => undefined);
  let suspected: { readonly cause: string; readonly since: number } | undefined;
  while (!ended.aborted) {
    if (interrupted.aborted) throw new DemoFailure("interrupted");
    const cause = diagnose(await gatherFacts(cluster, pod));
    if (cause === undefined) suspected = undefined;
    else if (suspected?.cause !== cause) suspected = { cause, since: Date.now() };
    else if (Date.now() - suspected.since > CONFIRM_MS) throw new DemoFailure(cause);
    if (Date.now() - started > LIMIT_MS)
      throw new DemoFailure(
        cause ??
          `the demo's pod did not succeed within ${LIMIT_MS / 1000} s, and nothing looks wrong. ${lastWords(log)}`,
      );
    await delay(250, undefined, { signal: AbortSignal.any([ended, interrupted]) }).catch(() => undefined);
  }
  return new Promise<never>(() => undefined);
}

function lastWords(log: readonly string[]): string {
  return log.length === 0 ? "It logged nothing" : ["Its log ends with", ...log.slice(-8)].join("\n  ");
}

/** What only the emulated cloud saw. */
async function noteRequests(cluster: Cluster, key: string, timeline: Timeline, since: number): Promise<void> {
  const requests = await cluster.control.get<AzureRequest[]>("/azure/requests");
  const own = requests.filter(({ time, status }) => time >= since && (status ?? 0) < 300);
  const attach = own.find((each) => each.service === "arm" && each.method !== "GET");
  if (attach) {
    const machine = attach.path.split("/").slice(-2).join("/");
    timeline.note(`ARM: MIC attaches the identity (${attach.method} ${machine})`, attach.time);
  }
  const token = own.find((each) => each.service === "imds" && each.operation === "token");
  if (token) timeline.note(`IMDS: first token, asked by NMI for ${key}`, token.time);
}

/** Requests that must not get a token, among them those of a second pod with an identity of its own. */
async function refuse(cluster: Cluster, manifests: readonly Manifest[], terminal: Terminal): Promise<RefusalResult[]> {
  const pod = podOf(manifests);
  const node = textAt(cluster.pods.items.get(`${pod.namespace}/${pod.name}`), "spec", "nodeName");
  const clientId =
    manifests.map(({ object }) => textAt(object, "spec", "clientID")).find((id) => id !== undefined) ?? "";
  const others = neighbours(pod.namespace, node ?? "");
  for (const manifest of others) await cluster.apply(manifest);
  const names = others
    .filter(({ resource }) => resource.kind === "Pod")
    .map(({ object }) => `${pod.namespace}/${object.metadata.name}`);
  const ready = await cluster.until(
    () =>
      names.every((name) => textAt(cluster.pods.items.get(name), "status", "phase") === "Running") &&
      assignedOf(cluster, { namespace: pod.namespace, name: "neighbour" }).some((each) => each.status === "Assigned"),
    20_000,
  );
  if (!ready)
    throw new DemoFailure(
      "a second pod with the identity demo2 did not get it within 20 s; see podid sandbox logs mic-0",
    );
  terminal.line("  two more pods run beside it: neighbour, with the identity demo2, and stranger, without a label");
  const own = await askForToken(cluster, `${pod.namespace}/neighbour`, { headers: METADATA_HEADER });
  if (own.status !== 200)
    throw new DemoFailure(
      `pod neighbour did not get the token of its own identity: ${own.status} ${JSON.stringify(own.body)}`,
    );
  const results: RefusalResult[] = [];
  for (const refusal of [
    {
      title: "a pod without the label asks for a token",
      pod: `${pod.namespace}/stranger`,
      headers: METADATA_HEADER,
      wanted: [403, 404],
    },
    {
      title: `pod neighbour asks for the client id of pod ${pod.name}`,
      pod: `${pod.namespace}/neighbour`,
      query: `&client_id=${clientId}`,
      headers: METADATA_HEADER,
      wanted: [403, 404],
    },
    {
      title: `pod ${pod.name} asks without the header Metadata`,
      pod: `${pod.namespace}/${pod.name}`,
      headers: {},
      wanted: [400],
    },
  ]) {
    results.push(await tryRefusal(cluster, refusal));
  }
  return results;
}

function neighbours(namespace: string, node: string): Manifest[] {
  const pod = (name: string, labels: Record<string, string>): Manifest => ({
    file: "",
    resource: RESOURCES.pods,
    object: {
      metadata: { name, namespace, labels },
      // On the same node, so that the same NMI has to tell them apart.
      spec: {
        nodeSelector: { "kubernetes.io/hostname": node },
        automountServiceAccountToken: false,
        terminationGracePeriodSeconds: 1,
        containers: [{ name: "pause", image: "registry.k8s.io/pause:3.10" }],
      },
    },
  });
  return [
    {
      file: "",
      resource: RESOURCES.azureIdentities,
      object: {
        metadata: { name: "demo2", namespace },
        spec: { type: 0, resourceID: identityId("demo2"), clientID: SEEDED_IDENTITIES["demo2"] },
      },
    },
    {
      file: "",
      resource: RESOURCES.azureIdentityBindings,
      object: { metadata: { name: "demo2-binding", namespace }, spec: { azureIdentity: "demo2", selector: "demo2" } },
    },
    pod("neighbour", { aadpodidbinding: "demo2" }),
    pod("stranger", {}),
  ];
}

/** Only nodes may be seen by raw IMDS; a pod's own address there would mean that rules were passed by. */
async function leaks(cluster: Cluster): Promise<string[]> {
  const requests = await cluster.control.get<AzureRequest[]>("/azure/requests?service=imds");
  return requests
    .filter(({ peer }) => peer.includes("10.244."))
    .map(({ peer, method, path }) => `${peer} ${method} ${path}`);
}

/** The last round's four lines, as a reader would look for them. */
function lastLines(log: readonly string[]): string[] {
  return EXPECTED_LINES.flatMap(({ pattern }) => log.findLast((line) => pattern.test(line)) ?? []);
}
