import {
  API_VERSION,
  ASSIGNED_IDENTITY_FINALIZER,
  NODE_LABEL,
  POD_UID_ANNOTATION,
  SPEC_DIGEST_ANNOTATION,
  specDigest,
  specFingerprint,
} from "@podid/crd-types";
import type { AzureIdentitySpec } from "@podid/crd-types";
import type { KubeObject } from "@podid/kube";
import { inParallel } from "./in-parallel.ts";
import { identityId, scaleSetId } from "./mic-stage.ts";
import type { MicStage } from "./mic-stage.ts";
import { podObject } from "./pod-object.ts";

export const NODES = 5_000;
export const SCALE_SETS = 50;
export const BINDINGS = 2_000;
const NAMESPACE = "default";
const CREATED_AT = "2026-01-01T00:00:00Z";

/** An identity serves pods of one scale set: each of those then holds forty. */
export function scaleSetOf(identity: number): number {
  return identity % SCALE_SETS;
}

export function identitySpec(identity: number): AzureIdentitySpec {
  const clientID = `00000000-0000-4000-8000-${String(identity).padStart(12, "0")}`;
  return { type: 0, resourceID: identityId(identityName(identity)), clientID };
}

export function identityName(identity: number): string {
  return `large-${String(identity).padStart(4, "0")}`;
}

export function scaleSetName(scaleSet: number): string {
  return `aks-large${String(scaleSet).padStart(2, "0")}-12345678-vmss`;
}

/** Pods and their AzureAssignedIdentities, made up one by one when somebody lists them; everything else is in the emulator. */
export class LargeCluster {
  readonly #identities: readonly KubeObject[];
  readonly #bindings: readonly KubeObject[];

  private constructor(identities: readonly KubeObject[], bindings: readonly KubeObject[]) {
    this.#identities = identities;
    this.#bindings = bindings;
  }

  /** Creates nodes, identities and bindings. */
  static async create(stage: MicStage): Promise<LargeCluster> {
    await inParallel(NODES, 32, async (at) => {
      const scaleSet = at % SCALE_SETS;
      const providerID = `azure://${scaleSetId(scaleSetName(scaleSet))}/virtualMachines/${Math.floor(at / SCALE_SETS)}`;
      await stage.of("nodes").create({ metadata: { name: nodeName(at) }, spec: { providerID } });
    });
    const identities: KubeObject[] = [];
    const bindings: KubeObject[] = [];
    await inParallel(BINDINGS, 32, async (at) => {
      const metadata = { name: identityName(at), namespace: NAMESPACE };
      identities[at] = await stage.of("azureIdentities").create({
        apiVersion: API_VERSION,
        kind: "AzureIdentity",
        metadata,
        spec: identitySpec(at),
      });
      bindings[at] = await stage.of("azureIdentityBindings").create({
        apiVersion: API_VERSION,
        kind: "AzureIdentityBinding",
        metadata,
        spec: { azureIdentity: identityName(at), selector: identityName(at) },
      });
    });
    return new LargeCluster(identities, bindings);
  }

  pod(at: number): KubeObject {
    const object = podObject({ name: podName(at), identity: identityName(at % BINDINGS), nodeName: nodeOf(at), at });
    const more = { uid: podUid(at), resourceVersion: String(100_000 + at), creationTimestamp: CREATED_AT };
    return { ...object, metadata: { ...object.metadata, ...more } };
  }

  /** As MIC would have made it, Assigned. */
  assigned(at: number): KubeObject {
    const identity = at % BINDINGS;
    const spec = identitySpec(identity);
    const marks = (object: KubeObject | undefined) => {
      const { name = "", uid = "", resourceVersion = "" } = object?.metadata ?? {};
      return { name, namespace: NAMESPACE, uid, resourceVersion };
    };
    return {
      apiVersion: API_VERSION,
      kind: "AzureAssignedIdentity",
      metadata: {
        name: `${podName(at)}-${NAMESPACE}-${identityName(identity)}`,
        namespace: NAMESPACE,
        uid: `aaaaaaaa-0000-4000-8000-${String(at).padStart(12, "0")}`,
        resourceVersion: String(500_000 + at),
        creationTimestamp: CREATED_AT,
        labels: { [NODE_LABEL]: nodeOf(at) },
        annotations: { [POD_UID_ANNOTATION]: podUid(at), [SPEC_DIGEST_ANNOTATION]: specDigest(specFingerprint(spec)) },
        finalizers: [ASSIGNED_IDENTITY_FINALIZER],
      },
      spec: {
        azureIdentityRef: {
          apiVersion: API_VERSION,
          kind: "AzureIdentity",
          metadata: marks(this.#identities[identity]),
          spec,
        },
        azureBindingRef: {
          apiVersion: API_VERSION,
          kind: "AzureIdentityBinding",
          metadata: marks(this.#bindings[identity]),
          spec: { azureIdentity: identityName(identity), selector: identityName(identity) },
        },
        pod: podName(at),
        podNamespace: NAMESPACE,
        nodename: nodeOf(at),
      },
      status: { status: "Assigned", availableReplicas: 1 },
    };
  }
}

function podName(at: number): string {
  return `large-${at}`;
}

function podUid(at: number): string {
  return `bbbbbbbb-0000-4000-8000-${String(at).padStart(12, "0")}`;
}

/** On the scale set of its identity; neighbours have other identities. */
function nodeOf(pod: number): string {
  const identity = pod % BINDINGS;
  const instance = (Math.floor(identity / SCALE_SETS) + Math.floor(pod / BINDINGS)) % (NODES / SCALE_SETS);
  return nodeName(instance * SCALE_SETS + scaleSetOf(identity));
}

function nodeName(at: number): string {
  return `${scaleSetName(at % SCALE_SETS)}${Math.floor(at / SCALE_SETS)
    .toString(36)
    .padStart(6, "0")}`;
}
