import type { GuardState } from "@podid/azure-assigner";
import { MAX_ENTRIES_PER_REQUEST } from "@podid/azure-assigner";
import type { MicMetrics } from "./metrics.ts";

export interface ArmSource {
  readonly armState: GuardState;
  readonly fullestGroups: Readonly<Record<string, number>>;
}

/** How ARM and we get along, as gauges; nothing while this process does not lead. */
export function armGauges(metrics: Pick<MicMetrics, "gauge">, source: () => ArmSource | undefined): void {
  metrics.gauge(
    "arm_throttled",
    "Waits that ARM asked for by Retry-After and that last, by what they concern",
    () => source()?.armState.held ?? {},
    "scope",
  );
  metrics.gauge(
    "arm_circuits",
    "Node groups whose ARM calls kept failing: open ones are not called, half-open ones are being tried",
    () => source()?.armState.circuits ?? {},
    "state",
  );
  metrics.gauge(
    "arm_budget_left",
    "Share of our own ARM budget that is left in its emptiest bucket; below zero, requests wait",
    () => source()?.armState.budget ?? {},
    "bucket",
  );
  metrics.gauge(
    "node_group_identities",
    "User-assigned identities on the VMs and scale sets that hold most",
    () => source()?.fullestGroups ?? {},
    "node_group",
  );
  metrics.gauge(
    "arm_request_identities_limit",
    "Identities that ARM takes in one request; more go in several",
    () => MAX_ENTRIES_PER_REQUEST,
  );
}
