import type { KubeTransport } from "@podid/kube";

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
    const lines = await transport.stream({ method: "GET", path, query, signal });
    void this.#count(lines).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
  }

  async #count(lines: AsyncIterable<unknown>): Promise<void> {
    for await (const line of lines) {
      this.events += 1;
      this.bytes += JSON.stringify(line).length + 1;
    }
  }
}
