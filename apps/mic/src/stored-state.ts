import type { NodeGroup } from "@podid/crd-types";
import { KubeError, listInto, ResourceClient, RESOURCES } from "@podid/kube";
import type { Clock, KubeTransport } from "@podid/kube";
import type { Logger } from "@podid/service";
import type { ConfigMapLedgers } from "./groups/config-map-ledgers.ts";
import { pause } from "./pause.ts";
import type { World } from "./world.ts";

export interface StoredStateOptions {
  readonly transport: KubeTransport;
  readonly ledgers: Pick<ConfigMapLedgers, "reload">;
  readonly world: Pick<World, "assigned" | "listedAssigned">;
  readonly clock: Clock;
  readonly log: Logger;
}

const PAGE_SIZE = 500;
const PAUSE_MS = 1000;

/**
 * Reads what a former leader left: its ledgers, and its objects, of which our watch may not have told yet. Tries until it is done.
 * @returns the groups that have a ledger; undefined when aborted
 */
export async function readStoredState(
  options: StoredStateOptions,
  signal: AbortSignal,
): Promise<readonly NodeGroup[] | undefined> {
  const { ledgers, clock, log } = options;
  while (!signal.aborted) {
    try {
      const groups = await ledgers.reload(signal);
      await readAssigned(options, signal);
      return groups;
    } catch (error) {
      if (signal.aborted) return undefined;
      log.warn({ error: String(error) }, "could not read what is stored; nothing is attached or detached until then");
      const waitMs = error instanceof KubeError ? Math.max(PAUSE_MS, error.retryAfterMs ?? 0) : PAUSE_MS;
      await pause(clock, waitMs, signal);
    }
  }
  return undefined;
}

async function readAssigned({ transport, world }: StoredStateOptions, signal: AbortSignal): Promise<void> {
  await listInto(new ResourceClient(transport, RESOURCES.azureAssignedIdentities), {
    pageSize: PAGE_SIZE,
    signal,
    begin: () => {},
    onObject: (object) => {
      const record = world.assigned.read(object);
      if (record !== undefined) world.listedAssigned(record);
    },
  });
}
