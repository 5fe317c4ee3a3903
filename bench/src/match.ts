import { Matcher, bindingRecord, createPodProjector, identityRecord, match, podRecord } from "@podid/matcher";
import type { BindingRecord, IdentityRecord, PodRecord } from "@podid/matcher";
import { figure } from "./figure.ts";
import type { Figure } from "./figure.ts";
import { medianMs, retainedBytes } from "./timing.ts";

const PODS = 150_000;
const BINDINGS = 2_000;
const NAMESPACES = 50;
/** Pods of the first binding; the others share the rest evenly. */
const LARGEST = 1_000;
const RUNS = 5;

interface Cluster {
  readonly pods: readonly PodRecord[];
  readonly bindings: readonly BindingRecord[];
  readonly identities: readonly IdentityRecord[];
}

/**
 * Matching for 150 000 labelled pods and 2 000 bindings, each with an identity of its own.
 * - `match-full`: everything at once, against comparing every pod with every binding as aad-pod-identity does.
 * - `match-pod-event`: a pod added, relabelled and deleted, per event, against `match-full`.
 * - `match-binding-event`: a binding of 1 000 pods that comes and goes, per event, against `match-full`.
 * - `match-pod-bytes`: heap per pod with records and matcher as MIC holds them, against the records alone with all of their labels.
 */
export function matchFigures(): readonly Figure[] {
  const cluster = makeCluster();
  const expected = match(cluster).assignments.length;
  const full = medianMs(RUNS, () => match(cluster));
  const compared = medianMs(1, () => everyPodWithEveryBinding(cluster));
  if (expected !== PODS || everyPodWithEveryBinding(cluster) !== expected)
    throw new Error("the bench's own matching is wrong");
  const matcher = filled(cluster);
  const events = { baseline: full, against: "match-full" };
  return [
    figure("match-full", "ms", full, { baseline: compared, against: "every pod with every binding" }),
    figure("match-pod-event", "ms", podEventMs(matcher), events),
    figure("match-binding-event", "ms", bindingEventMs(matcher, cluster), events),
    figure("match-pod-bytes", "bytes", podBytes(cluster), {
      baseline: recordBytes(),
      against: "records with all labels, without a matcher",
    }),
  ];
}

function makeCluster(): Cluster {
  const identities: IdentityRecord[] = [];
  const bindings: BindingRecord[] = [];
  for (let i = 0; i < BINDINGS; i += 1) {
    const metadata = { namespace: `team-${i % NAMESPACES}`, uid: `uid-${i}`, resourceVersion: "1" };
    const resourceID = `/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/id-${i}`;
    identities.push(
      need(
        identityRecord({ metadata: { ...metadata, name: `id-${i}` }, spec: { resourceID, clientID: `client-${i}` } }),
      ),
    );
    bindings.push(
      need(
        bindingRecord({
          metadata: { ...metadata, name: `b-${i}` },
          spec: { azureIdentity: `id-${i}`, selector: `app-${i}` },
        }),
      ),
    );
  }
  return { pods: Array.from({ length: PODS }, (_, i) => need(podRecord(podObject(i)))), bindings, identities };
}

/** A pod as the API shows it, in what matters here; parsed from text, as it is in reality. */
function podObject(i: number, label = `app-${appOf(i)}`): unknown {
  const labels = {
    aadpodidbinding: label,
    app: label,
    "pod-template-hash": `5d4f8c7b9${appOf(i)}`,
    "app.kubernetes.io/managed-by": "Helm",
  };
  return JSON.parse(
    JSON.stringify({
      metadata: {
        name: `app-${i}`,
        namespace: `team-${appOf(i) % NAMESPACES}`,
        uid: `00000000-0000-0000-0000-${String(i).padStart(12, "0")}`,
        labels,
      },
      spec: { nodeName: `aks-nodepool1-12345678-vmss${i % 5_000}`, serviceAccountName: "default" },
      status: { phase: "Running", podIP: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}` },
    }),
  );
}

/** Also beyond the cluster's pods. */
function appOf(pod: number): number {
  return pod < LARGEST ? 0 : 1 + (pod % (BINDINGS - 1));
}

function everyPodWithEveryBinding({ pods, bindings, identities }: Cluster): number {
  const known = new Map(identities.map((identity) => [`${identity.namespace}/${identity.name}`, identity]));
  let assignments = 0;
  for (const pod of pods) {
    const label = pod.labels["aadpodidbinding"];
    for (const binding of bindings) {
      if (binding.selector === label && known.has(`${binding.namespace}/${binding.azureIdentity}`)) assignments += 1;
    }
  }
  return assignments;
}

function filled({ pods, bindings, identities }: Cluster, matcher = new Matcher()): Matcher {
  for (const identity of identities) matcher.upsertIdentity(identity);
  for (const binding of bindings) matcher.upsertBinding(binding);
  for (const pod of pods) matcher.upsertPod(pod);
  return matcher;
}

const TURNS = 500;

/** Milliseconds per event. Every turn ends where it began, so that runs can be repeated. */
function podEventMs(matcher: Matcher): number {
  const records = Array.from({ length: TURNS }, (_, i) => ({
    fresh: need(podRecord(podObject(PODS + i))),
    moved: need(podRecord(podObject(PODS + i, `app-${(i * 7) % BINDINGS}`))),
  }));
  const run = (): void => {
    for (const { fresh, moved } of records) {
      matcher.upsertPod(fresh);
      matcher.upsertPod(moved);
      matcher.deletePod(fresh.uid);
    }
  };
  return medianMs(RUNS, run) / (TURNS * 3);
}

function bindingEventMs(matcher: Matcher, { bindings: [largest] }: Cluster): number {
  if (largest === undefined) throw new Error("there is no binding");
  const { namespace, name } = largest;
  if (matcher.deleteBinding(namespace, name).removed.length !== LARGEST) throw new Error("the binding has other pods");
  matcher.upsertBinding(largest);
  const turns = 20;
  const run = (): void => {
    for (let turn = 0; turn < turns; turn += 1) {
      matcher.deleteBinding(namespace, name);
      matcher.upsertBinding(largest);
    }
  };
  return medianMs(RUNS, run) / (turns * 2);
}

function podBytes({ bindings, identities }: Cluster): number {
  const project = createPodProjector({ labels: ["aadpodidbinding"], podIPs: false });
  return (
    retainedBytes(() =>
      filled({ pods: Array.from({ length: PODS }, (_, i) => need(project(podObject(i)))), bindings, identities }),
    ) / PODS
  );
}

function recordBytes(): number {
  return retainedBytes(() => Array.from({ length: PODS }, (_, i) => podRecord(podObject(i)))) / PODS;
}

function need<T>(record: T | undefined): T {
  if (record === undefined) throw new Error("the object makes no record");
  return record;
}
