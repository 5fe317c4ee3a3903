import { randomUUID } from "node:crypto";
import type { JsonObject } from "../json.ts";
import type { Principal } from "./directory.ts";
import type { Operation } from "./operation.ts";

/** An entry of a `userAssignedIdentities` map. */
export interface AttachedIdentity {
  /** As first written: Azure keeps the casing of the request that attached it. */
  readonly id: string;
  readonly key: string;
  /** The identity's principal when it was attached; a re-created identity of the same id has another one. */
  readonly objectId: string;
  /** The operation that attaches it; until it ends, ARM shows the entry as `{}`. */
  readonly since: Operation | undefined;
}

export interface IdentityAssignment {
  readonly userAssigned: ReadonlyMap<string, AttachedIdentity>;
  readonly system: Principal | undefined;
}

/** One machine of a uniform scale set. */
export interface ScaleSetInstance {
  readonly instanceId: string;
  readonly name: string;
  readonly computerName: string;
  readonly vmId: string;
  readonly createdAt: number;
  privateIp: string;
  latestModelApplied: boolean;
}

/** What a PUT or PATCH may set, besides the identity. */
export interface ResourceBody {
  readonly location: string;
  readonly tags: JsonObject | undefined;
  readonly sku: JsonObject | undefined;
  readonly plan: JsonObject | undefined;
  readonly zones: readonly string[] | undefined;
  readonly properties: JsonObject;
}

export type ProvisioningState = "Creating" | "Updating" | "Deleting" | "Succeeded" | "Failed";

/** A virtual machine or scale set, with the history that IMDS sees late. */
export class ComputeResource {
  readonly kind: "virtualMachine" | "virtualMachineScaleSet";
  readonly id: string;
  readonly key: string;
  readonly name: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  /** `vmId` of a VM, `uniqueId` of a scale set: another one after re-creation. */
  readonly uniqueId: string;
  readonly createdAt: number;
  /** Id of the flexible scale set that a VM belongs to. */
  readonly scaleSetId: string | undefined;
  readonly instances: ScaleSetInstance[] = [];
  body: ResourceBody;
  etag = 1;
  privateIp = "10.0.0.4";
  #identity: IdentityAssignment = { userAssigned: new Map(), system: undefined };
  #operation: Operation | undefined;
  #beforeOperation: IdentityAssignment | undefined;
  #deletion: Operation | undefined;
  #creating = false;
  #failed = false;
  #imds: { visibleAt: number; identity: IdentityAssignment; operation: Operation | undefined }[] = [];

  constructor(o: {
    kind: ComputeResource["kind"];
    id: string;
    key: string;
    name: string;
    subscriptionId: string;
    resourceGroup: string;
    createdAt: number;
    body: ResourceBody;
    uniqueId?: string | undefined;
    scaleSetId?: string | undefined;
  }) {
    this.kind = o.kind;
    this.id = o.id;
    this.key = o.key;
    this.name = o.name;
    this.subscriptionId = o.subscriptionId;
    this.resourceGroup = o.resourceGroup;
    this.createdAt = o.createdAt;
    this.body = o.body;
    this.uniqueId = o.uniqueId ?? randomUUID();
    this.scaleSetId = o.scaleSetId;
  }

  get flexible(): boolean {
    return this.kind === "virtualMachineScaleSet" && this.body.properties["orchestrationMode"] === "Flexible";
  }

  get identity(): IdentityAssignment {
    return this.#identity;
  }

  /** Changes the identity without an operation, as a seed or a test does it; IMDS sees it at `visibleAt`. */
  setIdentity(identity: IdentityAssignment, visibleAt: number): void {
    this.#identity = identity;
    this.etag += 1;
    this.#imds.push({ visibleAt, identity, operation: undefined });
  }

  /** Applies a write; a running one is preempted. IMDS sees the result `imdsLagMs` after the operation's success. */
  write(o: {
    now: number;
    operation: Operation;
    identity: IdentityAssignment;
    body: ResourceBody;
    imdsLagMs: number;
    creating?: boolean;
  }): void {
    this.settle(o.now);
    const preempted = this.#operation;
    preempted?.preempt(o.now);
    this.#imds = this.#imds.filter((entry) => preempted === undefined || entry.operation !== preempted);
    this.#beforeOperation = this.#beforeOperation ?? this.#identity;
    this.#identity = { ...o.identity, userAssigned: adopt(o.identity.userAssigned, preempted, o.operation) };
    this.body = o.body;
    this.etag += 1;
    this.#operation = o.operation;
    this.#creating = o.creating ?? false;
    this.#failed = false;
    if (o.operation.failure === undefined)
      this.#imds.push({
        visibleAt: o.operation.finishesAt + o.imdsLagMs,
        identity: this.#identity,
        operation: o.operation,
      });
  }

  markDeleting(operation: Operation): void {
    this.#operation?.preempt(operation.startedAt);
    this.#deletion = operation;
  }

  get deletion(): Operation | undefined {
    return this.#deletion;
  }

  /** Draws the consequences of an operation that ended meanwhile: a failed one leaves the identities as they were. */
  settle(now: number): void {
    const operation = this.#operation;
    if (operation === undefined || operation.status(now) === "InProgress") return;
    if (operation.status(now) === "Failed") {
      this.#failed = true;
      if (this.#beforeOperation !== undefined) this.#identity = this.#beforeOperation;
    }
    this.#operation = undefined;
    this.#beforeOperation = undefined;
    this.#creating = false;
  }

  runningOperation(now: number): Operation | undefined {
    this.settle(now);
    return this.#operation;
  }

  provisioningState(now: number): ProvisioningState {
    if (this.#deletion !== undefined) return "Deleting";
    if (this.runningOperation(now) !== undefined) return this.#creating ? "Creating" : "Updating";
    return this.#failed ? "Failed" : "Succeeded";
  }

  /** The identities that IMDS knows of at `now`. */
  imdsIdentity(now: number): IdentityAssignment {
    const visible = this.#imds.findLastIndex((entry) => entry.visibleAt <= now);
    if (visible > 0) this.#imds.splice(0, visible);
    const first = this.#imds[0];
    return first !== undefined && first.visibleAt <= now
      ? first.identity
      : { userAssigned: new Map(), system: undefined };
  }
}

/** Entries whose operation was preempted now wait for the one that took its place. */
function adopt(
  entries: ReadonlyMap<string, AttachedIdentity>,
  preempted: Operation | undefined,
  successor: Operation,
): ReadonlyMap<string, AttachedIdentity> {
  if (preempted === undefined) return entries;
  return new Map(
    [...entries].map(([key, entry]) => [key, entry.since === preempted ? { ...entry, since: successor } : entry]),
  );
}
