import { Matcher, bindingRecord, createPodProjector, identityRecord, match, podRecord } from "@podid/matcher";
import type { BindingRecord, IdentityRecord, PodRecord } from "@podid/matcher";
import { figure } from "./figure.ts";
import type { Figure } from "./figure.ts";
import { medianMs, retainedBytes } from "./timing.ts";

const PODS = 10_000;
const BINDINGS = 500;
const NAMESPACES = 50;
const RUNS = 15;

interface Cluster {
  readonly pods: readonly PodRecord[];
  readonly bindings: readonly BindingRecord[];
  readonly identities: readonly IdentityRecord[];
}

/**
 * Matching for 10 000 pods and 500 bindings, each with an identity of its own and 20 pods.
 * - `match-full`: everything at once, against comparing every pod with every binding as aad-pod-identity does.
 * - `match-incremental`: one event of a mix (pod added, relabelled and deleted, binding and identity edited), against `match-full`.
 * - `match-pod-bytes`: heap per pod with records and matcher as MIC holds them, against the records alone with all of their labels.
 */
export function matchFigures(): readonly Figure[] {
  const cluster = makeCluster();
  const expected = match(cluster).assignments.length;
  const full = medianMs(RUNS, () => match(cluster));
  const compared = medianMs(RUNS, () => everyPodWithEveryBinding(cluster));
  const incremental = incrementalMs(cluster);
  if (expected !== PODS || everyPodWithEveryBinding(cluster) !== expected)
    throw new Error("the bench's own matching is wrong");
  return [
    figure("match-full", "ms", full, compared),
    figure("match-incremental", "ms", incremental, full),
    figure("match-pod-bytes", "bytes", podBytes(cluster), recordBytes()),
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
function podObject(i: number, label = `app-${i % BINDINGS}`): unknown {
  const labels = {
    aadpodidbinding: label,
    app: label,
    "pod-template-hash": `5d4f8c7b9${i % BINDINGS}`,
    "app.kubernetes.io/managed-by": "Helm",
  };
  return JSON.parse(
    JSON.stringify({
      metadata: {
        name: `app-${i}`,
        namespace: `team-${i % NAMESPACES}`,
        uid: `00000000-0000-0000-0000-${String(i).padStart(12, "0")}`,
        labels,
      },
      spec: { nodeName: `aks-nodepool1-12345678-vmss${i % 200}`, serviceAccountName: "default" },
      status: { phase: "Running", podIP: `10.0.${i >> 8}.${i & 255}` },
    }),
  );
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

const EVENTS_PER_TURN = 6;
const TURNS = 500;

/** Milliseconds per event. Every turn ends where it began, so that runs can be repeated. */
function incrementalMs(cluster: Cluster): number {
  const matcher = filled(cluster);
  const fresh = Array.from({ length: TURNS }, (_, i) => need(podRecord(podObject(PODS + i))));
  const moved = Array.from({ length: TURNS }, (_, i) =>
    need(podRecord(podObject(PODS + i, `app-${(i * 7) % BINDINGS}`))),
  );
  let version = 1;
  const run = (): void => {
    for (let i = 0; i < TURNS; i += 1) {
      const [pod, other, identity, binding] = [
        fresh[i],
        moved[i],
        cluster.identities[i % BINDINGS],
        cluster.bindings[(i * 3) % BINDINGS],
      ];
      if (!pod || !other || !identity || !binding) throw new Error("no such object");
      version += 1;
      matcher.upsertPod(pod);
      matcher.upsertPod(other);
      matcher.deletePod(pod.uid);
      matcher.upsertIdentity({ ...identity, fingerprint: `${identity.fingerprint}${version}` });
      matcher.upsertBinding({ ...binding, resourceVersion: String(version) });
      matcher.upsertIdentity(identity);
    }
  };
  return medianMs(RUNS, run) / (TURNS * EVENTS_PER_TURN);
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
