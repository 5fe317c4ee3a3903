import { Counter, Gauge, Histogram, Registry } from "prom-client";

const SHORT_SECONDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 2, 3, 4, 5, 10];
const LONG_SECONDS = [0.5, 1, 5, 10, 30, 60, 120, 300, 600, 900, 1200];

/** A write of an AzureAssignedIdentity. */
export type WriteKind = "create" | "delete" | "update" | "status";

/** An ARM call, in upstream's words. */
export type CloudOperation = "vmss_get" | "vmss_update" | "vm_get" | "vm_update";

/** Measures writes of AzureAssignedIdentities. */
export interface WriteTimer {
  time<T>(kind: WriteKind, write: () => Promise<T>): Promise<T>;
}

interface Timed {
  readonly duration: Histogram;
  readonly count: Counter;
}

/** All metrics of MIC in one registry of its own: upstream's names, labels and buckets, and podid's own under `podid_mic_`. */
export class MicMetrics implements WriteTimer {
  readonly registry = new Registry();
  readonly #seconds: () => number;
  readonly #writes: Readonly<Record<"create" | "delete" | "update", Timed>>;
  readonly #cycle: Timed;
  readonly #elections: Counter;
  readonly #cloudErrors: Counter;
  readonly #cloudDuration: Histogram;
  readonly #apiErrors: Counter;
  readonly #unreadableLedgers: Counter;
  readonly #armCalls: Counter;
  readonly #podAssigned: Histogram;

  /** @param now milliseconds */
  constructor(now: () => number = () => performance.now()) {
    this.#seconds = () => now() / 1000;
    this.#writes = {
      create: this.#timed("assigned_identity_addition", "assigned identity addition operations", SHORT_SECONDS),
      delete: this.#timed("assigned_identity_deletion", "assigned identity deletion operations", SHORT_SECONDS),
      update: this.#timed("assigned_identity_update", "assigned identity update operations", SHORT_SECONDS),
    };
    this.#cycle = this.#timed("mic_cycle", "a single cycle in mic", LONG_SECONDS);
    this.#elections = this.#counter(
      "mic_new_leader_election_count",
      "Total number of times this process became leader",
    );
    this.#cloudErrors = this.#counter(
      "cloud_provider_operations_errors_count",
      "Total number of errors in cloud provider operations",
      ["operation_type"],
    );
    this.#cloudDuration = this.#histogram(
      "cloud_provider_operations_duration_seconds",
      "Duration in seconds of cloudprovider operations",
      LONG_SECONDS,
      ["operation_type"],
    );
    this.#apiErrors = this.#counter(
      "kubernetes_api_operations_errors_count",
      "Total number of errors in kubernetes api operations",
      ["operation_type"],
    );
    this.#podAssigned = new Histogram({
      name: "podid_mic_pod_assignment_duration_seconds",
      help: "Time from a pod's scheduling until one of its identities is assigned; includes waiting for a binding that came later",
      buckets: LONG_SECONDS,
      registers: [this.registry],
    });
    this.#armCalls = new Counter({
      name: "podid_mic_arm_calls_total",
      help: "Calls of Azure Resource Manager by operation and outcome: success, aborted, or the kind of problem",
      labelNames: ["operation_type", "outcome"],
      registers: [this.registry],
    });
    this.#unreadableLedgers = new Counter({
      name: "podid_mic_unreadable_ledgers_total",
      help: "Ledgers that were found unreadable: what they owned is not detached any more",
      registers: [this.registry],
    });
  }

  async time<T>(kind: WriteKind, write: () => Promise<T>): Promise<T> {
    const start = this.#seconds();
    try {
      const result = await write();
      if (kind !== "status") {
        this.#writes[kind].duration.observe(this.#seconds() - start);
        this.#writes[kind].count.inc();
      }
      return result;
    } catch (error) {
      this.#apiErrors.inc({ operation_type: API_OPERATION[kind] });
      throw error;
    }
  }

  async timeCloud<T>(operation: CloudOperation, call: () => Promise<T>): Promise<T> {
    const start = this.#seconds();
    try {
      const result = await call();
      this.#cloudDuration.observe({ operation_type: operation }, this.#seconds() - start);
      return result;
    } catch (error) {
      this.#cloudErrors.inc({ operation_type: operation });
      throw error;
    }
  }

  /** @param outcome success, aborted, or the kind of an ARM problem */
  armCalled(operation: string, outcome: string): void {
    this.#armCalls.inc({ operation_type: operation, outcome });
  }

  cycleDone(milliseconds: number): void {
    this.#cycle.duration.observe(milliseconds / 1000);
    this.#cycle.count.inc();
  }

  /** @param milliseconds since the scheduler placed the pod, in steps of a second */
  podAssigned(milliseconds: number): void {
    this.#podAssigned.observe(Math.max(0, milliseconds) / 1000);
  }

  elected(): void {
    this.#elections.inc();
  }

  ledgerUnreadable(): void {
    this.#unreadableLedgers.inc();
  }

  /** A value that is read when somebody scrapes. */
  gauge(name: string, help: string, read: () => number | Readonly<Record<string, number>>, label?: string): void {
    const gauge: Gauge = new Gauge({
      name: `podid_mic_${name}`,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [this.registry],
      collect: () => {
        const value = read();
        // What is not among the values any more must not be shown as it was.
        if (label !== undefined) gauge.reset();
        if (typeof value === "number") gauge.set(value);
        else for (const [key, number] of Object.entries(value)) gauge.set({ [label ?? "name"]: key }, number);
      },
    });
  }

  #timed(name: string, what: string, buckets: number[]): Timed {
    return {
      duration: this.#histogram(`${name}_duration_seconds`, `Duration in seconds of ${what}`, buckets),
      count: this.#counter(`${name}_count`, `Total number of ${what}`),
    };
  }

  #histogram(name: string, help: string, buckets: number[], labelNames: string[] = []): Histogram {
    return new Histogram({ name: `aadpodidentity_${name}`, help, buckets, labelNames, registers: [this.registry] });
  }

  #counter(name: string, help: string, labelNames: string[] = []): Counter {
    return new Counter({ name: `aadpodidentity_${name}`, help, labelNames, registers: [this.registry] });
  }
}

const API_OPERATION: Readonly<Record<WriteKind, string>> = {
  create: "assigned_identity_addition",
  delete: "assigned_identity_deletion",
  update: "assigned_identity_update",
  status: "update_azure_assigned_identity_status",
};
