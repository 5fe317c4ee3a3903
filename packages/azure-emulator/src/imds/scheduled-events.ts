import { randomUUID } from "node:crypto";
import type { WireReply, WireRequest } from "../http/wire.ts";
import type { JsonObject } from "../json.ts";
import { objectOf, stringOf } from "../json.ts";
import { json, metadataError } from "./replies.ts";

export interface ScheduledEvent {
  readonly EventId: string;
  readonly EventType: "Freeze" | "Reboot" | "Redeploy" | "Preempt" | "Terminate";
  readonly ResourceType: "VirtualMachine";
  readonly Resources: readonly string[];
  readonly EventStatus: "Scheduled" | "Started";
  /** RFC 1123; empty once started. */
  readonly NotBefore: string;
  readonly Description: string;
  readonly EventSource: "Platform" | "User";
  readonly DurationInSeconds: number;
}

/** `/metadata/scheduledevents` of one machine. The incarnation grows with every change, as clients rely on. */
export class ScheduledEvents {
  #events: ScheduledEvent[] = [];
  #incarnation = 1;

  add(event: Partial<ScheduledEvent> & Pick<ScheduledEvent, "EventType" | "Resources">): ScheduledEvent {
    const added: ScheduledEvent = {
      EventId: randomUUID().toUpperCase(),
      ResourceType: "VirtualMachine",
      EventStatus: "Scheduled",
      NotBefore: "",
      Description: "",
      EventSource: "Platform",
      DurationInSeconds: -1,
      ...event,
    };
    this.#events.push(added);
    this.#incarnation += 1;
    return added;
  }

  clear(): void {
    this.#events = [];
    this.#incarnation += 1;
  }

  answer(request: WireRequest): WireReply {
    return request.method === "POST"
      ? this.#start(request.body)
      : json(200, { DocumentIncarnation: this.#incarnation, Events: this.#events });
  }

  #start(body: string): WireReply {
    const ids = requestedIds(body);
    if (ids === undefined) return metadataError(400, "Bad request. StartRequests is missing or malformed");
    if (ids.some((id) => !this.#events.some((event) => event.EventId === id)))
      return metadataError(400, "Bad request. EventId is not known");
    this.#events = this.#events.map((event) =>
      ids.includes(event.EventId) ? { ...event, EventStatus: "Started", NotBefore: "" } : event,
    );
    if (ids.length > 0) this.#incarnation += 1;
    return { ...json(200, {}), body: "" };
  }
}

function requestedIds(body: string): readonly string[] | undefined {
  let parsed: JsonObject;
  try {
    parsed = objectOf(JSON.parse(body));
  } catch {
    return undefined;
  }
  const requests = parsed["StartRequests"];
  if (!Array.isArray(requests)) return undefined;
  const ids = requests.map((request: unknown) => stringOf(objectOf(request)["EventId"]));
  return ids.every((id) => id !== undefined) ? ids : undefined;
}
