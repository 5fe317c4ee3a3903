import { KINDS, upgradeLegacyObject } from "@podid/crd-types";
import type { Kind } from "@podid/crd-types";
import { KubeError, listInto, ResourceClient, RESOURCES } from "@podid/kube";
import type { Clock, KubeObject, KubeTransport, Resource } from "@podid/kube";
import type { Logger } from "@podid/service";

export interface TypeUpgradeSettings {
  /** MIC's own. */
  readonly namespace: string;
  /** ConfigMap that records that it is done, and the key in it. */
  readonly configMap: string;
  readonly key: string;
  /** What is recorded: who did it. */
  readonly version: string;
}

interface Ports {
  /** Writes only while this process leads. */
  readonly transport: KubeTransport;
  readonly clock: Clock;
  readonly log: Logger;
}

const RESOURCE_OF: Readonly<Record<Kind, Resource>> = {
  AzureIdentity: RESOURCES.azureIdentities,
  AzureIdentityBinding: RESOURCES.azureIdentityBindings,
  AzureAssignedIdentity: RESOURCES.azureAssignedIdentities,
  AzurePodIdentityException: RESOURCES.azurePodIdentityExceptions,
};

const PAGE_SIZE = 500;
const RETRY_MS = 10_000;
const LONGEST_RETRY_MS = 300_000;
/** Writes in flight: it is not urgent, since the old spellings are understood as they are. */
const BATCH = 4;

/**
 * Rewrites objects whose fields are spelled as before aad-pod-identity 1.6, once per cluster; a ConfigMap records that it was done, as
 * aad-pod-identity does, so that either skips what the other did. What is right already is not written, so that an upgrade that
 * was cut short goes on where it ended. Until it is done nothing is lost: every reader understands the old spellings.
 */
export class TypeUpgrade {
  readonly #ports: Ports;
  readonly #settings: TypeUpgradeSettings;

  constructor(ports: Ports, settings: TypeUpgradeSettings) {
    this.#ports = ports;
    this.#settings = settings;
  }

  /** Never rejects: what fails is logged and tried again until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#ports;
    for (let waitMs = RETRY_MS; !signal.aborted; waitMs = Math.min(LONGEST_RETRY_MS, waitMs * 2)) {
      try {
        await this.#attempt(signal);
        return;
      } catch (error) {
        if (signal.aborted) return;
        log.warn({ error: String(error), retryInMs: waitMs }, "the type upgrade is not complete; it goes on later");
        await new Promise<void>((resolve) => {
          const timer = clock.setTimeout(resolve, waitMs);
          signal.addEventListener(
            "abort",
            () => {
              timer.cancel();
              resolve();
            },
            { once: true },
          );
        });
      }
    }
  }

  async #attempt(signal: AbortSignal): Promise<void> {
    const { transport, log } = this.#ports;
    const { namespace, configMap, key, version } = this.#settings;
    const configMaps = new ResourceClient(transport, RESOURCES.configMaps);
    const record = await found(configMaps.get(configMap, namespace, { signal }));
    const by = (record?.["data"] as Record<string, string> | undefined)?.[key];
    if (by !== undefined) {
      log.info({}, `type upgrade status configmap found from version: ${by}. Skipping type upgrade!`);
      return;
    }
    log.info({}, "upgrading the types to work with case sensitive go-client");
    let rewritten = 0;
    for (const kind of Object.keys(KINDS) as Kind[]) rewritten += await this.#upgrade(kind, signal);
    signal.throwIfAborted();
    if (record === undefined)
      await configMaps.create({ metadata: { name: configMap, namespace }, data: { [key]: version } }, { signal });
    else await configMaps.update({ ...record, data: { ...(record["data"] as object), [key]: version } }, { signal });
    log.info({ rewritten }, "type upgrade completed !!");
  }

  async #upgrade(kind: Kind, signal: AbortSignal): Promise<number> {
    const { transport, log } = this.#ports;
    const client = new ResourceClient(transport, RESOURCE_OF[kind]);
    const legacy: KubeObject[] = [];
    await listInto(client, {
      pageSize: PAGE_SIZE,
      signal,
      begin: () => void legacy.splice(0),
      onObject: (object) => {
        if (upgradeLegacyObject(kind, object).changed) legacy.push(object);
      },
    });
    const rest = legacy.values();
    const worker = async (): Promise<void> => {
      for (const object of rest) {
        signal.throwIfAborted();
        await this.#rewrite(kind, client, object, signal);
        log.info({}, `type upgrade: rewrote ${KINDS[kind]} ${object.metadata.namespace}/${object.metadata.name}`);
      }
    };
    await Promise.all(Array.from({ length: BATCH }, worker));
    return legacy.length;
  }

  /** Replaces spec and status of just this version of the object: what somebody changed meanwhile is looked at again. */
  async #rewrite(kind: Kind, client: ResourceClient, object: KubeObject, signal: AbortSignal): Promise<void> {
    const { name, namespace, resourceVersion } = object.metadata;
    const upgraded = upgradeLegacyObject(kind, object).object;
    const body = [
      { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
      ...(["spec", "status"] as const)
        .filter((part) => JSON.stringify(upgraded[part]) !== JSON.stringify(object[part]))
        .map((part) => ({ op: "replace", path: `/${part}`, value: upgraded[part] })),
    ];
    await found(client.patch(name, namespace, { type: "json", body, signal }));
  }
}

/** Undefined for what does not exist (any more). */
async function found<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (KubeError.is(error, 404)) return undefined;
    throw error;
  }
}
