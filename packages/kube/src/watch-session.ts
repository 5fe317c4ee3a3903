import { elapsedClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { KubeError } from "./kube-error.ts";
import { objectKey } from "./kube-object.ts";
import type { KubeObject, WatchEvent } from "./kube-object.ts";
import type { ResourceClient, WatchOptions } from "./resource-client.ts";
import { apiVersionOf } from "./resource.ts";

/** The server ends a watch after 5 to 10 minutes, as client-go asks it to: connections move to other API servers. */
const MIN_TIMEOUT_SECONDS = 300;
/** A server that ignores `sendInitialEvents` never sends the end mark. */
const INITIAL_STALL_MS = 20_000;
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

/** The server does not offer a streamed list. */
export class WatchListUnsupported extends Error {}

export interface WatchSession {
  readonly scope: Pick<WatchOptions, "namespace" | "labelSelector" | "fieldSelector">;
  /** Where to go on; undefined asks for a streamed list first. */
  readonly resourceVersion: string | undefined;
  readonly stallTimeoutMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly signal: AbortSignal;
  onOpen(): void;
  /** All initial objects were delivered; `version` is where the watch goes on. */
  onInitialEnd(version: string): void;
  onUpsert(object: KubeObject): void;
  onDelete(object: KubeObject, key: string): void;
  onBookmark(object: KubeObject): void;
}

/**
 * Follows one watch until the server ends it or it stalls. Rejects with {@link KubeError} when it breaks or the server
 * sends an error, with {@link WatchListUnsupported} when the streamed list is not to be had.
 */
export async function followWatch(client: ResourceClient, session: WatchSession): Promise<void> {
  let initial = session.resourceVersion === undefined;
  const attempt = new AbortController();
  const stop = () => attempt.abort(session.signal.reason);
  session.signal.addEventListener("abort", stop, { once: true });
  if (session.signal.aborted) stop();
  const stall = new StallTimer(
    session.clock,
    attempt,
    initial ? Math.min(INITIAL_STALL_MS, session.stallTimeoutMs) : session.stallTimeoutMs,
  );
  try {
    const stream = await client.watch({ ...query(session), signal: attempt.signal });
    session.onOpen();
    stall.touch();
    for await (const event of stream) {
      // A stopped reader may still get what was buffered.
      if (attempt.signal.aborted) break;
      stall.touch();
      if (initial && isInitialEnd(event)) {
        initial = false;
        stall.timeoutMs = session.stallTimeoutMs;
        session.onInitialEnd(versionOf(event, client));
      } else if (initial && event.type === "BOOKMARK")
        throw new WatchListUnsupported("a bookmark came before the end of the initial events");
      else dispatch(event, client, session);
    }
    if (initial && !attempt.signal.aborted)
      throw new KubeError(`${client.resource.plural}: the streamed list ended before it was complete`, {
        status: 0,
        reason: "NetworkError",
      });
  } catch (error) {
    if (!stall.stalled && initial && isRefusedWatchList(error))
      throw new WatchListUnsupported((error as Error).message);
    if (!stall.stalled) throw error;
  } finally {
    stall.cancel();
    session.signal.removeEventListener("abort", stop);
    attempt.abort(new Error("the watch is over"));
  }
  if (stall.stalled && initial) throw new WatchListUnsupported("the initial events did not end");
}

function query({ scope, resourceVersion, random }: WatchSession): WatchOptions {
  const timeoutSeconds = MIN_TIMEOUT_SECONDS + Math.floor(random() * MIN_TIMEOUT_SECONDS);
  const common = { ...scope, allowWatchBookmarks: true, timeoutSeconds };
  if (resourceVersion === undefined)
    return { ...common, sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" };
  return { ...common, resourceVersion };
}

function dispatch(event: WatchEvent, client: ResourceClient, session: WatchSession): void {
  const { type, object } = event;
  if (type === "ERROR")
    throw KubeError.fromStatus(object, { status: 0, request: `watch of ${client.resource.plural}` });
  if (typeof object?.metadata !== "object")
    throw new Error(`watch of ${client.resource.plural}: an event of type ${JSON.stringify(type)} has no object`);
  if (type === "BOOKMARK") return session.onBookmark(object);
  object.apiVersion ??= apiVersionOf(client.resource);
  object.kind ??= client.resource.kind;
  if (type === "ADDED" || type === "MODIFIED") session.onUpsert(object);
  else if (type === "DELETED") session.onDelete(object, objectKey(object));
}

function isInitialEnd({ type, object }: WatchEvent): boolean {
  return type === "BOOKMARK" && object.metadata.annotations?.[INITIAL_EVENTS_END] === "true";
}

function versionOf({ object }: WatchEvent, client: ResourceClient): string {
  const version = object.metadata.resourceVersion;
  if (!version)
    throw new Error(`watch of ${client.resource.plural}: the end of the initial events has no resourceVersion`);
  return version;
}

// 422: the feature gate is off. 500: etcd too old. 400, 405, 501: something else that speaks for the API server.
function isRefusedWatchList(error: unknown): boolean {
  return KubeError.is(error, 400, 405, 422, 500, 501);
}

/** Aborts an attempt when nothing arrived for a while; cheap to touch, since it re-arms only when it fires. */
class StallTimer {
  timeoutMs: number;
  stalled = false;
  readonly #clock: Clock;
  readonly #elapsed: () => number;
  readonly #attempt: AbortController;
  #touchedAt: number;
  #timer: { cancel(): void };

  constructor(clock: Clock, attempt: AbortController, timeoutMs: number) {
    this.#clock = clock;
    this.#elapsed = elapsedClock(clock);
    this.#attempt = attempt;
    this.timeoutMs = timeoutMs;
    this.#touchedAt = this.#elapsed();
    this.#timer = this.#arm(timeoutMs);
  }

  touch(): void {
    this.#touchedAt = this.#elapsed();
  }

  cancel(): void {
    this.#timer.cancel();
  }

  #arm(ms: number): { cancel(): void } {
    return this.#clock.setTimeout(() => {
      const left = this.timeoutMs - (this.#elapsed() - this.#touchedAt);
      if (left > 0) {
        this.#timer = this.#arm(left);
        return;
      }
      this.stalled = true;
      this.#attempt.abort(new Error(`nothing arrived for ${this.timeoutMs} ms`));
    }, ms);
  }
}
