import { KubeError, listInto, ResourceClient, RESOURCES } from "@podid/kube";
import type { Clock, KubeObject, KubeTransport } from "@podid/kube";
import { LEDGER_SELECTOR, readLedger } from "../groups/ledger-config-map.ts";
import type { ConfigMap } from "../groups/ledger-config-map.ts";
import { pause } from "../pause.ts";
import { LIFECYCLE_CONFIG_MAP, RUNNING, UNINSTALLING } from "./lifecycle.ts";

export interface DrainOptions {
  readonly transport: KubeTransport;
  readonly clock: Clock;
  /** Line by line, for whoever reads `helm uninstall`. */
  readonly say: (line: string) => void;
  /** Namespace of MIC and its ledgers. */
  readonly namespace: string;
  /** Namespaces of the ConfigMaps that MIC and NMI read. */
  readonly lifecycleNamespaces: readonly string[];
  /** managed: there is nothing attached that MIC could detach. */
  readonly mode: "standard" | "managed";
  readonly timeoutMs: number;
  readonly onTimeout: "abort" | "continue";
  readonly signal: AbortSignal;
}

/** What MIC still has to do before it may go. */
interface Remains {
  /** A sentence per VM, scale set and object. */
  readonly lines: readonly string[];
  /** Ledgers that own nothing. */
  readonly emptyLedgers: readonly string[];
}

const PAUSE_MS = 2000;
const PAGE_SIZE = 500;
/** More would not be read. */
const SHOWN = 20;

/**
 * Marks podid as being uninstalled, which makes MIC detach what it attached and lets NMI take its rules out when it is told to stop, and
 * waits until nothing is left. When that does not happen in time the mark is taken back, unless the caller wants to go on.
 * @returns the exit code
 */
export async function drain(options: DrainOptions): Promise<number> {
  const { clock, say, timeoutMs, signal } = options;
  const start = clock.now();
  await mark(options, UNINSTALLING);
  if (options.mode === "managed") return done(say, "NMI takes its rules out when it stops.");
  let said = "";
  for (;;) {
    const remains = await remaining(options);
    if (remains.lines.length === 0) {
      await removeLedgers(options, remains.emptyLedgers);
      return done(say, "MIC has detached what it attached; NMI takes its rules out when it stops.");
    }
    const summary = `waiting for MIC: ${remains.lines.length} left`;
    if (summary !== said) say(summary);
    said = summary;
    if (signal.aborted || clock.now() - start >= timeoutMs) return await giveUp(options, remains);
    await pause(clock, Math.min(PAUSE_MS, Math.max(0, timeoutMs - (clock.now() - start))), signal);
  }
}

function done(say: (line: string) => void, line: string): number {
  say(line);
  return 0;
}

async function giveUp(options: DrainOptions, { lines }: Remains): Promise<number> {
  const { say, onTimeout, timeoutMs, namespace } = options;
  say(`After ${timeoutMs / 1000} s this is left:`);
  for (const line of lines.slice(0, SHOWN)) say(`  ${line}`);
  if (lines.length > SHOWN) say(`  and ${lines.length - SHOWN} more`);
  say(
    `MIC's log and the events of the AzureIdentityBindings say what Azure refused: kubectl --namespace ${namespace} logs --selector app.kubernetes.io/component=mic`,
  );
  if (onTimeout === "continue") {
    say("drain.onTimeout is continue: podid goes nevertheless. Detach by hand what is named above.");
    return 0;
  }
  await mark(options, RUNNING);
  say(
    "Nothing was uninstalled, and podid works on. Put right what Azure refused and uninstall again; or leave attached what is attached, with `helm uninstall --no-hooks`, and then run `nmi cleanup` on the nodes.",
  );
  return 1;
}

async function mark({ transport, lifecycleNamespaces, say }: DrainOptions, phase: string): Promise<void> {
  const configMaps = new ResourceClient(transport, RESOURCES.configMaps);
  for (const namespace of lifecycleNamespaces) {
    try {
      await configMaps.patch(LIFECYCLE_CONFIG_MAP, namespace, { type: "merge", body: { data: { phase } } });
    } catch (error) {
      if (!KubeError.is(error, 404)) throw error;
      say(
        `There is no ConfigMap ${namespace}/${LIFECYCLE_CONFIG_MAP}: whoever reads it does not know, and NMI will leave its rules in place.`,
      );
    }
  }
}

async function remaining({ transport, namespace }: DrainOptions): Promise<Remains> {
  const lines: string[] = [];
  const emptyLedgers: string[] = [];
  await listInto(new ResourceClient<ConfigMap>(transport, RESOURCES.configMaps), {
    pageSize: PAGE_SIZE,
    namespace,
    labelSelector: LEDGER_SELECTOR,
    begin: () => void (lines.length = emptyLedgers.length = 0),
    onObject: (object) => {
      const read = readLedger(object);
      const { name } = object.metadata;
      // What it owned nobody knows; MIC has said so, and waiting would not help.
      if (!read.ok) return;
      const ids = Object.keys(read.ledger.entries);
      if (ids.length === 0) emptyLedgers.push(name);
      else lines.push(...ids.map((id) => `${id} is attached to ${read.group?.id ?? name}`));
    },
  });
  const assigned: KubeObject[] = [];
  await listInto(new ResourceClient(transport, RESOURCES.azureAssignedIdentities), {
    pageSize: PAGE_SIZE,
    begin: () => void (assigned.length = 0),
    onObject: (object) => void assigned.push(object),
  });
  lines.push(...assigned.map(({ metadata }) => `AzureAssignedIdentity ${metadata.namespace}/${metadata.name}`));
  return { lines, emptyLedgers };
}

async function removeLedgers({ transport, namespace }: DrainOptions, names: readonly string[]): Promise<void> {
  const configMaps = new ResourceClient(transport, RESOURCES.configMaps);
  for (const name of names) {
    await configMaps.delete(name, namespace).catch((error: unknown) => {
      if (!KubeError.is(error, 404)) throw error;
    });
  }
}
