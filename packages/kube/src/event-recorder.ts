import { randomBytes } from "node:crypto";

import { Backoff, retryAfterOf } from "./backoff.ts";
import { delay, elapsedClock, systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import { EventSeriesCache, SpamFilter } from "./event-series.ts";
import type { EventSeries } from "./event-series.ts";
import { KubeError } from "./kube-error.ts";
import type { KubeObject } from "./kube-object.ts";
import { ResourceClient } from "./resource-client.ts";
import { RESOURCES } from "./resource.ts";
import { silentLog } from "./transport.ts";
import type { KubeTransport, Log } from "./transport.ts";

export interface RecordedEvent {
  /** Needs apiVersion, kind and metadata with name; uid and namespace where it has them. */
  readonly involvedObject: KubeObject;
  readonly type: "Normal" | "Warning";
  /** CamelCase, stable. */
  readonly reason: string;
  readonly message: string;
}

export interface EventRecorderOptions {
  readonly transport: KubeTransport;
  /** `source.component`. */
  readonly component: string;
  /** `source.host`: the node, for a component that runs on each. */
  readonly host?: string | undefined;
  /** Events waiting to be sent, default 1 000; what comes on top is dropped and counted. */
  readonly queueLimit?: number | undefined;
  readonly clock?: Clock | undefined;
  readonly random?: (() => number) | undefined;
  readonly log?: Log | undefined;
}

interface Pending {
  readonly series: EventSeries;
  readonly event: RecordedEvent;
}

/** API servers refuse longer messages. */
const MESSAGE_LIMIT = 1024;
const ATTEMPTS = 4;
const never = new AbortController().signal;

/**
 * core/v1 Events, sent one after the other in the background. Identical ones raise the count of the first. Recording
 * never throws and never waits: events are news, not state, and are dropped rather than hold anything up.
 */
export class EventRecorder {
  readonly #o: EventRecorderOptions;
  readonly #client: ResourceClient;
  readonly #clock: Clock;
  readonly #elapsed: () => number;
  readonly #log: Log;
  readonly #cache = new EventSeriesCache();
  readonly #spam = new SpamFilter();
  readonly #queue: Pending[] = [];
  #sending: Promise<void> | undefined;
  #dropped = 0;

  constructor(options: EventRecorderOptions) {
    this.#o = options;
    this.#client = new ResourceClient(options.transport, RESOURCES.events);
    this.#clock = options.clock ?? systemClock;
    this.#elapsed = elapsedClock(this.#clock);
    this.#log = options.log ?? silentLog;
  }

  /** Events that were not sent: spam, a full queue, a refusing server. */
  get dropped(): number {
    return this.#dropped;
  }

  record(event: RecordedEvent): void {
    try {
      this.#enqueue(event);
    } catch (error) {
      this.#drop(event, String(error));
    }
  }

  /** Resolves when everything recorded so far was sent or given up; after `timeoutMs` (default 5 000) the rest is dropped. */
  async flush(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    const sent = new AbortController();
    void this.#sending?.then(() => sent.abort());
    if (!this.#sending) return;
    await delay(this.#clock, options.timeoutMs ?? 5_000, sent.signal);
    if (sent.signal.aborted) return;
    for (const { event, series } of this.#queue.splice(0)) {
      series.queued = false;
      this.#drop(event, "no time left");
    }
  }

  #enqueue(event: RecordedEvent): void {
    const { kind, apiVersion, metadata } = event.involvedObject;
    if (!kind || !apiVersion || !metadata?.name)
      throw new TypeError("involvedObject lacks apiVersion, kind or metadata.name; pass the whole object");
    const namespace = metadata.namespace || "default";
    const object = JSON.stringify([apiVersion, kind, namespace, metadata.name, metadata.uid]);
    const key = JSON.stringify([object, event.type, event.reason, event.message]);
    const now = this.#clock.now();
    let series = this.#cache.find(key, now);
    if (series?.queued) {
      series.count += 1;
      series.lastAt = now;
      return;
    }
    if (!this.#spam.allows(object, this.#elapsed())) return this.#drop(event, "too many events of this object");
    if (this.#queue.length >= (this.#o.queueLimit ?? 1000)) return this.#drop(event, "the queue is full");
    if (series) {
      series.count += 1;
      series.lastAt = now;
    } else {
      series = {
        name: eventName(metadata.name),
        namespace,
        firstAt: now,
        lastAt: now,
        count: 1,
        stored: false,
        queued: false,
      };
      this.#cache.add(key, series);
    }
    series.queued = true;
    this.#queue.push({ series, event });
    this.#sending ??= this.#drain().finally(() => (this.#sending = undefined));
  }

  async #drain(): Promise<void> {
    // Whatever the caller records in one go is aggregated before the first request.
    await Promise.resolve();
    for (let next = this.#queue.shift(); next; next = this.#queue.shift()) {
      next.series.queued = false;
      await this.#sendWithRetries(next);
    }
  }

  async #sendWithRetries(pending: Pending): Promise<void> {
    const backoff = new Backoff({ baseMs: 500, maxMs: 10_000, random: this.#o.random ?? Math.random });
    for (;;) {
      try {
        return await this.#send(pending);
      } catch (error) {
        const hopeless =
          !(error instanceof KubeError) || (error.status >= 400 && error.status < 500 && error.status !== 429);
        if (hopeless || backoff.failures + 1 >= ATTEMPTS)
          return this.#drop(pending.event, error instanceof Error ? error.message : String(error));
        await delay(this.#clock, backoff.next(retryAfterOf(error)), never);
      }
    }
  }

  async #send({ series, event }: Pending): Promise<void> {
    if (series.stored) {
      try {
        const body = { count: series.count, lastTimestamp: seconds(series.lastAt), message: cut(event.message) };
        await this.#client.patch(series.name, series.namespace, { type: "merge", body });
        return;
      } catch (error) {
        // Events live an hour; this one is gone and starts anew.
        if (!KubeError.is(error, 404)) throw error;
        series.stored = false;
        series.name = eventName(event.involvedObject.metadata.name);
      }
    }
    try {
      await this.#client.create(this.#object(series, event));
    } catch (error) {
      // 409: an attempt whose answer was lost.
      if (!KubeError.is(error, 409)) throw error;
    }
    series.stored = true;
  }

  #object(series: EventSeries, { involvedObject, type, reason, message }: RecordedEvent): KubeObject {
    const { component, host } = this.#o;
    const { name, namespace, uid, resourceVersion } = involvedObject.metadata;
    return {
      metadata: { name: series.name, namespace: series.namespace },
      involvedObject: {
        apiVersion: involvedObject.apiVersion,
        kind: involvedObject.kind,
        name,
        namespace,
        uid,
        resourceVersion,
      },
      type,
      reason,
      message: cut(message),
      source: { component, host },
      reportingComponent: component,
      reportingInstance: host ?? "",
      firstTimestamp: seconds(series.firstAt),
      lastTimestamp: seconds(series.lastAt),
      count: series.count,
    };
  }

  #drop(event: RecordedEvent, why: string): void {
    this.#dropped += 1;
    // Also for callers without types.
    const { reason, involvedObject } = (event as RecordedEvent | null) ?? {};
    const { kind, metadata } = involvedObject ?? {};
    this.#log.warn(
      { reason, object: `${kind} ${metadata?.namespace ?? ""}/${metadata?.name}`, why },
      "event not recorded",
    );
  }
}

/** Unique, and within the 253 characters of a name. */
function eventName(objectName: string): string {
  return `${objectName.slice(0, 253 - 17).replace(/[-.]+$/, "")}.${randomBytes(8).toString("hex")}`;
}

function seconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");
}

function cut(message: string): string {
  return message.length <= MESSAGE_LIMIT ? message : `${message.slice(0, MESSAGE_LIMIT - 1)}…`;
}
