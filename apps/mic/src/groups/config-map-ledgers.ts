import { createHash } from "node:crypto";
import { emptyLedger, LedgerConflict } from "@podid/azure-assigner";
import type { Ledger, LedgerStore, StoredLedger } from "@podid/azure-assigner";
import { parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";
import { KubeError, ResourceClient, RESOURCES } from "@podid/kube";
import type { KubeObject, KubeTransport } from "@podid/kube";

const LABEL = "podid.dev/ledger";
const DATA_KEY = "ledger.json";

interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

/**
 * One ConfigMap per VM or scale set. What was read or written last is remembered, because only the leader writes: the resource
 * version still decides, and a conflict forgets.
 */
export class ConfigMapLedgers implements LedgerStore {
  readonly #client: ResourceClient<ConfigMap>;
  readonly #namespace: string;
  readonly #remembered = new Map<string, StoredLedger>();

  constructor(transport: KubeTransport, namespace: string) {
    this.#client = new ResourceClient<ConfigMap>(transport, RESOURCES.configMaps);
    this.#namespace = namespace;
  }

  /** Reads all ledgers anew; what a leader does first. @returns the groups that have one */
  async reload(signal?: AbortSignal): Promise<readonly NodeGroup[]> {
    this.#remembered.clear();
    const groups: NodeGroup[] = [];
    let next: string | undefined;
    do {
      const page = await this.#client.list({
        namespace: this.#namespace,
        labelSelector: `${LABEL}=true`,
        limit: 500,
        continue: next,
        signal,
      });
      for (const item of page.items) {
        const ledger = ledgerOf(item);
        const placement = parseProviderId(`azure://${instanceOf(ledger?.group ?? "")}`);
        if (ledger === undefined || !placement.ok) continue;
        const { group } = placement.value;
        this.#remembered.set(group.key, { ledger, version: item.metadata.resourceVersion });
        groups.push(group);
      }
      next = page.metadata.continue;
    } while (next);
    return groups;
  }

  async load(group: NodeGroup): Promise<StoredLedger> {
    const remembered = this.#remembered.get(group.key);
    if (remembered !== undefined) return remembered;
    let stored: StoredLedger;
    try {
      const object = await this.#client.get(ledgerName(group), this.#namespace);
      stored = { ledger: ledgerOf(object) ?? emptyLedger(group), version: object.metadata.resourceVersion };
    } catch (error) {
      if (!KubeError.is(error, 404)) throw error;
      stored = { ledger: emptyLedger(group), version: undefined };
    }
    this.#remembered.set(group.key, stored);
    return stored;
  }

  async save(group: NodeGroup, next: Ledger, version: string | undefined): Promise<StoredLedger> {
    const object: ConfigMap = {
      metadata: {
        name: ledgerName(group),
        namespace: this.#namespace,
        labels: { [LABEL]: "true" },
        annotations: { "podid.dev/node-group": group.id },
        ...(version !== undefined && { resourceVersion: version }),
      },
      data: { [DATA_KEY]: JSON.stringify(next) },
    };
    try {
      const written = version === undefined ? await this.#client.create(object) : await this.#client.update(object);
      const stored = { ledger: next, version: written.metadata.resourceVersion };
      this.#remembered.set(group.key, stored);
      return stored;
    } catch (error) {
      this.#remembered.delete(group.key);
      if (KubeError.is(error, 404, 409))
        throw new LedgerConflict(`the ledger of ${group.id} changed meanwhile`, { cause: error });
      throw error;
    }
  }

  async remove(group: NodeGroup): Promise<void> {
    this.#remembered.delete(group.key);
    try {
      await this.#client.delete(ledgerName(group), this.#namespace);
    } catch (error) {
      if (!KubeError.is(error, 404)) throw error;
    }
  }

  /** Whether the ledger, as last seen, owns anything. */
  ownsAnything(groupKey: string): boolean {
    return Object.keys(this.#remembered.get(groupKey)?.ledger.entries ?? {}).length > 0;
  }
}

/** A ConfigMap's name has at most 253 characters of a small alphabet, an ARM id has not: the machine's name for people, a hash for certainty. */
function ledgerName(group: NodeGroup): string {
  const readable = group.name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 60);
  return `podid-ledger-${readable}-${createHash("sha256").update(group.key).digest("hex").slice(0, 16)}`;
}

function ledgerOf(object: ConfigMap): Ledger | undefined {
  try {
    const ledger = JSON.parse(object.data?.[DATA_KEY] ?? "") as Ledger;
    return typeof ledger.group === "string" && typeof ledger.entries === "object" ? ledger : undefined;
  } catch {
    return undefined;
  }
}

/** `parseProviderId` reads scale sets only together with an instance. */
function instanceOf(groupId: string): string {
  return /\/virtualMachineScaleSets\/[^/]+$/i.test(groupId) ? `${groupId}/virtualMachines/0` : groupId;
}
