import type {
  Arm,
  ComputeState,
  FollowOptions,
  IdentityDirectory,
  IdentityFacts,
  IdentityPatch,
  PatchOptions,
} from "@podid/azure-assigner";
import { AzureArm, AzureIdentityDirectory } from "@podid/azure-assigner/azure";
import type { NodeGroup } from "@podid/crd-types";
import type { Clock } from "@podid/kube";
import type { Logger } from "@podid/service";
import { createCredential } from "./credential.ts";
import { FileWatch } from "./file-watch.ts";
import type { LoadedCloud } from "./load-cloud.ts";

export interface AzureAccessOptions {
  readonly userAgent: string;
  /** Empty: the client library's. */
  readonly computeApiVersion: string;
  readonly log: Logger;
  readonly clock: Clock;
  /** Reads everything anew. @throws {Error} */
  readonly load: () => LoadedCloud;
  /** Other clients are in use from now on. */
  readonly onChange: (loaded: LoadedCloud) => void;
}

interface Clients {
  readonly arm: Arm;
  readonly directory: IdentityDirectory;
}

/**
 * ARM and the identity resource provider with MIC's present credential. When its files change, new clients are made and take the
 * place of the old ones at once; requests that run already end with those that they began with. What cannot be used is reported,
 * and the former clients stay.
 */
export class AzureAccess implements Arm, IdentityDirectory {
  readonly #o: AzureAccessOptions;
  #clients: Clients;
  #watch: FileWatch | undefined;
  #files: readonly string[] = [];

  constructor(loaded: LoadedCloud, options: AzureAccessOptions) {
    this.#o = options;
    this.#clients = this.#connect(loaded);
    this.#watchFiles(loaded.files);
  }

  read(group: NodeGroup, signal?: AbortSignal): Promise<ComputeState> {
    return this.#clients.arm.read(group, signal);
  }

  list(...list: Parameters<Arm["list"]>): Promise<readonly ComputeState[]> {
    return this.#clients.arm.list(...list);
  }

  patch(group: NodeGroup, patch: IdentityPatch, options?: PatchOptions): Promise<ComputeState> {
    return this.#clients.arm.patch(group, patch, options);
  }

  resume(group: NodeGroup, operation: string, options?: FollowOptions): Promise<ComputeState> {
    return this.#clients.arm.resume(group, operation, options);
  }

  find(resourceId: string, signal?: AbortSignal): Promise<IdentityFacts | undefined> {
    return this.#clients.directory.find(resourceId, signal);
  }

  close(): void {
    this.#watch?.close();
  }

  #reload(): void {
    const { log, load, onChange } = this.#o;
    log.info({}, `detected file modification: ${this.#files.join(", ")}`);
    let loaded: LoadedCloud;
    let clients: Clients;
    try {
      loaded = load();
      clients = this.#connect(loaded);
    } catch (error) {
      log.error({ error: (error as Error).message }, "the cloud config cannot be used; the former one stays in use");
      return;
    }
    this.#clients = clients;
    this.#watchFiles(loaded.files);
    log.info({}, "cloud provider re-initialized");
    onChange(loaded);
  }

  #connect({ config, cloud }: LoadedCloud): Clients {
    const { userAgent, computeApiVersion } = this.#o;
    const credential = createCredential(config, cloud);
    const options = {
      endpoint: cloud.resourceManager.replace(/\/+$/, ""),
      userAgent,
      ...(cloud.audience !== undefined && { scope: `${cloud.audience}/.default` }),
    };
    return {
      arm: new AzureArm(credential, { ...options, ...(computeApiVersion !== "" && { apiVersion: computeApiVersion }) }),
      directory: new AzureIdentityDirectory(credential, options),
    };
  }

  #watchFiles(files: readonly string[]): void {
    if (files.join("\0") === this.#files.join("\0")) return;
    this.#watch?.close();
    this.#files = files;
    this.#watch = new FileWatch({ paths: files, clock: this.#o.clock, onChange: () => this.#reload() });
  }
}
