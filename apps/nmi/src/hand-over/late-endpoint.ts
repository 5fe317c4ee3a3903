import type { Clock } from "@podid/imds-proxy";
import type { Log } from "@podid/kube";
import type { Endpoint } from "@podid/service";

export interface LateEndpointOptions {
  readonly name: string;
  /** @throws an error with code EADDRINUSE when the port is taken */
  readonly open: () => Promise<Endpoint>;
  readonly clock: Pick<Clock, "setTimeout">;
  readonly log: Log;
}

const AGAIN_MS = 1_000;

/** An endpoint whose port an older process of this node may still hold: then it opens as soon as that is gone. */
export class LateEndpoint implements Endpoint {
  readonly #options: LateEndpointOptions;
  #endpoint: Endpoint | undefined;
  #timer: { cancel(): void } | undefined;
  #closed = false;
  #opening: Promise<void> = Promise.resolve();

  private constructor(options: LateEndpointOptions) {
    this.#options = options;
  }

  /** Resolves after the first attempt. @throws when that fails for another reason than a taken port */
  static async open(options: LateEndpointOptions): Promise<LateEndpoint> {
    const endpoint = new LateEndpoint(options);
    if (!(await endpoint.#attempt()))
      options.log.warn({}, `the port of ${options.name} is taken; trying again until it is free`);
    return endpoint;
  }

  /** 0 while it is not open. */
  get port(): number {
    return this.#endpoint?.port ?? 0;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#opening;
    await this.#endpoint?.close();
  }

  async #attempt(): Promise<boolean> {
    const { open, clock, log, name } = this.#options;
    try {
      this.#endpoint = await open();
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
      if (this.#closed) return false;
      this.#timer = clock.setTimeout(() => {
        this.#opening = this.#attempt().then(
          (opened) => (opened ? log.info({ port: this.port }, `opened ${name}`) : undefined),
          (failure: unknown) => log.error({ error: String(failure) }, `${name} could not be opened`),
        );
      }, AGAIN_MS);
      return false;
    }
  }
}
