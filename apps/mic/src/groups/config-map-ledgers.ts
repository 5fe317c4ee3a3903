import { emptyLedger, LedgerConflict } from "@podid/azure-assigner";
import type { Ledger, LedgerStore, StoredLedger } from "@podid/azure-assigner";
import type { NodeGroup } from "@podid/crd-types";
import { KubeError, listInto, ResourceClient, RESOURCES } from "@podid/kube";
import type { KubeTransport } from "@podid/kube";
import { LEDGER_SELECTOR, ledgerConfigMap, ledgerName, readLedger } from "./ledger-config-map.ts";
import type { ConfigMap, OtherData, ReadLedger } from "./ledger-config-map.ts";

/** A ledger whose text is not a ledger: what it owned is nobody's until somebody repairs it. */
export interface UnreadableLedger {
  /** `namespace/name` */
  readonly configMap: string;
  /** ARM id, if the ConfigMap tells. */
  readonly group: string | undefined;
  readonly error: string;
}

const PAGE_SIZE = 500;

interface Remembered {
  readonly stored: StoredLedger;
  readonly others: OtherData;
}

/**
 * One ConfigMap per VM or scale set. What was read or written last is remembered, because only the leader writes: the resource
 * version still decides, and a conflict forgets. An unreadable ledger counts as empty, because nothing may be detached by guess; it is
 * reported, and its text stays in the ConfigMap under another key.
 */
export class ConfigMapLedgers implements LedgerStore {
  readonly #client: ResourceClient<ConfigMap>;
  readonly #namespace: string;
  readonly #remembered = new Map<string, Remembered>();
  readonly #onUnreadable: (report: UnreadableLedger) => void;

  constructor(
    transport: KubeTransport,
    namespace: string,
    onUnreadable: (report: UnreadableLedger) => void = () => {},
  ) {
    this.#client = new ResourceClient<ConfigMap>(transport, RESOURCES.configMaps);
    this.#namespace = namespace;
    this.#onUnreadable = onUnreadable;
  }

  /** Reads all ledgers anew; what a leader does first. @returns the groups that have one */
  async reload(signal?: AbortSignal): Promise<readonly NodeGroup[]> {
    const groups: NodeGroup[] = [];
    await listInto(this.#client, {
      pageSize: PAGE_SIZE,
      namespace: this.#namespace,
      labelSelector: LEDGER_SELECTOR,
      signal,
      begin: () => {
        this.#remembered.clear();
        groups.length = 0;
      },
      onObject: (object) => {
        const read = this.#read(object);
        if (read.group === undefined) return;
        this.#remember(read.group, read, object);
        groups.push(read.group);
      },
    });
    return groups;
  }

  async load(group: NodeGroup): Promise<StoredLedger> {
    return (await this.#load(group)).stored;
  }

  async save(group: NodeGroup, next: Ledger, version: string | undefined): Promise<StoredLedger> {
    const others = version === undefined ? {} : (await this.#load(group)).others;
    const object = ledgerConfigMap(group, this.#namespace, next, others);
    try {
      const written =
        version === undefined
          ? await this.#client.create(object)
          : await this.#client.update({ ...object, metadata: { ...object.metadata, resourceVersion: version } });
      const stored = { ledger: next, version: written.metadata.resourceVersion };
      this.#remembered.set(group.key, { stored, others });
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

  /**
   * Removes a ledger in which nothing is written any more, as machines leave them that come and go under ever new names. One with text
   * that nobody can read stays.
   */
  async removeIdle(group: NodeGroup): Promise<void> {
    const known = this.#remembered.get(group.key);
    if (known === undefined) return;
    const { stored, others } = known;
    const isIdle = Object.keys(stored.ledger.entries).length === 0 && stored.ledger.running === undefined;
    if (!isIdle || Object.keys(others).length > 0) return;
    if (stored.version === undefined) this.#remembered.delete(group.key);
    else await this.remove(group);
  }

  /** Whether anything is remembered of the group. */
  knows(groupKey: string): boolean {
    return this.#remembered.has(groupKey);
  }

  /** Whether the ledger, as last seen, owns anything. */
  ownsAnything(groupKey: string): boolean {
    return Object.keys(this.#remembered.get(groupKey)?.stored.ledger.entries ?? {}).length > 0;
  }

  /** Keys of the groups whose ledger, as last seen, owns anything. */
  owners(): string[] {
    return [...this.#remembered.keys()].filter((key) => this.ownsAnything(key));
  }

  /** Keys of the groups with a request of which the end was not written down. */
  unfinished(): string[] {
    const isUnfinished = ({ running, entries }: Ledger): boolean =>
      running !== undefined || Object.values(entries).some(({ state }) => state !== "attached");
    return [...this.#remembered].filter(([, { stored }]) => isUnfinished(stored.ledger)).map(([key]) => key);
  }

  get highestEpoch(): number {
    return Math.max(-1, ...[...this.#remembered.values()].map(({ stored }) => stored.ledger.epoch));
  }

  async #load(group: NodeGroup): Promise<Remembered> {
    const known = this.#remembered.get(group.key);
    if (known !== undefined) return known;
    try {
      const object = await this.#client.get(ledgerName(group), this.#namespace);
      return this.#remember(group, this.#read(object), object);
    } catch (error) {
      if (!KubeError.is(error, 404)) throw error;
      const nothing = { stored: { ledger: emptyLedger(group), version: undefined }, others: {} };
      this.#remembered.set(group.key, nothing);
      return nothing;
    }
  }

  #read(object: ConfigMap): ReadLedger {
    const read = readLedger(object);
    if (!read.ok) {
      const { namespace, name } = object.metadata;
      this.#onUnreadable({ configMap: `${namespace}/${name}`, group: read.group?.id, error: read.error });
    }
    return read;
  }

  #remember(group: NodeGroup, read: ReadLedger, { metadata }: ConfigMap): Remembered {
    const ledger = read.ok ? read.ledger : emptyLedger(group);
    const remembered = { stored: { ledger, version: metadata.resourceVersion }, others: read.others };
    this.#remembered.set(group.key, remembered);
    return remembered;
  }
}
