import type { KubeTransport, WatchEvent } from "@podid/kube";

export interface WatchRequest {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
}

/** What watches receive, counted: events, and the bytes of their JSON lines. */
export class WatchTraffic {
  events = 0;
  bytes = 0;
  readonly #stop = new AbortController();

  /** Opens all of them; resolves when the API server answers. Everything there is comes first, as events. */
  static async open(transport: KubeTransport, watches: readonly WatchRequest[]): Promise<WatchTraffic> {
    const traffic = new WatchTraffic();
    await Promise.all(watches.map((watch) => traffic.#follow(transport, watch)));
    return traffic;
  }

  stop(): void {
    this.#stop.abort();
  }

  async #follow(transport: KubeTransport, { path, query }: WatchRequest): Promise<void> {
    const { signal } = this.#stop;
    const open = (from: WatchRequest["query"]): Promise<AsyncIterable<unknown>> =>
      transport.stream({ method: "GET", path, query: from, signal });
    const { sendInitialEvents: _initial, resourceVersionMatch: _match, ...onward } = query;
    const first = await open(query);
    const count = async (): Promise<void> => {
      let version = await this.#count(first);
      // The server ends watches when it likes; a reflector goes on from where it was.
      while (!signal.aborted) version = await this.#count(await open({ ...onward, resourceVersion: version }), version);
    };
    void count().catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  /** @returns the version of the last event */
  async #count(lines: AsyncIterable<unknown>, from = ""): Promise<string> {
    let version = from;
    for await (const line of lines) {
      this.events += 1;
      this.bytes += JSON.stringify(line).length + 1;
      version = (line as WatchEvent).object.metadata.resourceVersion ?? version;
    }
    return version;
  }
}
