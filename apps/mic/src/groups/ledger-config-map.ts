import { createHash } from "node:crypto";
import type { Ledger } from "@podid/azure-assigner";
import { parseProviderId } from "@podid/crd-types";
import type { NodeGroup } from "@podid/crd-types";
import type { KubeObject } from "@podid/kube";

const LABEL = "podid.dev/ledger";
const GROUP_ANNOTATION = "podid.dev/node-group";
const DATA_KEY = "ledger.json";

export const LEDGER_SELECTOR = `${LABEL}=true`;

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

/** Data of a ConfigMap besides its ledger, to be written back as it is. */
export type OtherData = Readonly<Record<string, string>>;

export type ReadLedger = {
  /** Whose it is, if that can be told. */
  readonly group: NodeGroup | undefined;
  /** The text of an unreadable ledger included, under a key of its own. */
  readonly others: OtherData;
} & ({ readonly ok: true; readonly ledger: Ledger } | { readonly ok: false; readonly error: string });

export function readLedger({ metadata, data = {} }: ConfigMap): ReadLedger {
  const { [DATA_KEY]: text, ...others } = data;
  try {
    const ledger = parsed(text);
    return { ok: true, group: groupOf(ledger.group), others, ledger };
  } catch (error) {
    return {
      ok: false,
      group: groupOf(metadata.annotations?.[GROUP_ANNOTATION] ?? ""),
      others: text === undefined ? others : { ...others, [freeKey(others)]: text },
      error: (error as Error).message,
    };
  }
}

export function ledgerConfigMap(group: NodeGroup, namespace: string, ledger: Ledger, others: OtherData): ConfigMap {
  return {
    metadata: {
      name: ledgerName(group),
      namespace,
      labels: { [LABEL]: "true" },
      annotations: { [GROUP_ANNOTATION]: group.id },
    },
    data: { ...others, [DATA_KEY]: JSON.stringify(ledger) },
  };
}

/** A ConfigMap's name has at most 253 characters of a small alphabet, an ARM id has not: the machine's name for people, a hash for certainty. */
export function ledgerName(group: NodeGroup): string {
  const readable = group.name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 60);
  return `podid-ledger-${readable}-${createHash("sha256").update(group.key).digest("hex").slice(0, 16)}`;
}

function parsed(text: string | undefined): Ledger {
  if (text === undefined) throw new Error(`data key ${DATA_KEY} is missing`);
  const ledger = JSON.parse(text) as Partial<Ledger> | null;
  if (typeof ledger?.group !== "string" || typeof ledger.entries !== "object" || ledger.entries === null)
    throw new Error(`${DATA_KEY} has no group or no entries`);
  return ledger as Ledger;
}

function freeKey(taken: OtherData): string {
  for (let number = 1; ; number += 1) {
    const key = `unreadable-${number}.json`;
    if (!Object.hasOwn(taken, key)) return key;
  }
}

/** `parseProviderId` reads scale sets only together with an instance. */
function groupOf(armId: string): NodeGroup | undefined {
  const isScaleSet = /\/virtualMachineScaleSets\/[^/]+$/i.test(armId);
  const placement = parseProviderId(`azure://${armId}${isScaleSet ? "/virtualMachines/0" : ""}`);
  return placement.ok ? placement.value.group : undefined;
}
