import type { Json } from "./json.ts";
import { timestamp } from "./object-meta.ts";

/**
 * Kubernetes' protobuf bodies, for the messages that kubectl and Go clients are known to send here:
 * since 1.32 their typed clients write protobuf whatever the server prefers, and read JSON.
 * Field numbers are those of `generated.proto` in k8s.io/api and k8s.io/apimachinery v0.35.
 */
type Reader = "string" | "int" | "bool" | "bytes" | "time" | "micro-time" | Message;
interface Field {
  readonly name: string;
  readonly as: Reader;
  readonly many?: "list" | "map";
}
interface Message {
  readonly [number: number]: Field;
}

const text = (name: string): Field => ({ name, as: "string" });
const int = (name: string): Field => ({ name, as: "int" });
const bool = (name: string): Field => ({ name, as: "bool" });
const time = (name: string): Field => ({ name, as: "time" });
const texts = (name: string): Field => ({ name, as: "string", many: "list" });
const map = (name: string, as: Reader = "string"): Field => ({ name, as, many: "map" });
const one = (name: string, as: Message): Field => ({ name, as });
const many = (name: string, as: Message): Field => ({ name, as, many: "list" });

const OWNER: Message = {
  1: text("kind"),
  3: text("name"),
  4: text("uid"),
  5: text("apiVersion"),
  6: bool("controller"),
  7: bool("blockOwnerDeletion"),
};
const META = one("metadata", {
  1: text("name"),
  2: text("generateName"),
  3: text("namespace"),
  5: text("uid"),
  6: text("resourceVersion"),
  7: int("generation"),
  8: time("creationTimestamp"),
  9: time("deletionTimestamp"),
  10: int("deletionGracePeriodSeconds"),
  11: map("labels"),
  12: map("annotations"),
  13: many("ownerReferences", OWNER),
  14: texts("finalizers"),
});
const REFERENCE: Message = {
  1: text("kind"),
  2: text("namespace"),
  3: text("name"),
  4: text("uid"),
  5: text("apiVersion"),
  6: text("resourceVersion"),
  7: text("fieldPath"),
};
const RESOURCE_ATTRIBUTES: Message = {
  1: text("namespace"),
  2: text("verb"),
  3: text("group"),
  4: text("version"),
  5: text("resource"),
  6: text("subresource"),
  7: text("name"),
};
const SERIES: Message = { 1: int("count"), 2: { name: "lastObservedTime", as: "micro-time" } };

const MESSAGES: Readonly<Record<string, Message>> = {
  "v1 Namespace": { 1: META },
  "v1 ConfigMap": { 1: META, 2: map("data"), 3: map("binaryData", "bytes"), 4: bool("immutable") },
  "v1 Secret": { 1: META, 2: map("data", "bytes"), 3: text("type"), 4: map("stringData"), 5: bool("immutable") },
  "v1 ServiceAccount": {
    1: META,
    2: many("secrets", REFERENCE),
    3: many("imagePullSecrets", { 1: text("name") }),
    4: bool("automountServiceAccountToken"),
  },
  "v1 Binding": { 1: META, 2: one("target", REFERENCE) },
  "v1 Event": {
    1: META,
    2: one("involvedObject", REFERENCE),
    3: text("reason"),
    4: text("message"),
    5: one("source", { 1: text("component"), 2: text("host") }),
    6: time("firstTimestamp"),
    7: time("lastTimestamp"),
    8: int("count"),
    9: text("type"),
    10: { name: "eventTime", as: "micro-time" },
    11: one("series", SERIES),
    12: text("action"),
    13: one("related", REFERENCE),
    14: text("reportingComponent"),
    15: text("reportingInstance"),
  },
  "v1 DeleteOptions": {
    1: int("gracePeriodSeconds"),
    2: one("preconditions", { 1: text("uid"), 2: text("resourceVersion") }),
    3: bool("orphanDependents"),
    4: text("propagationPolicy"),
    5: texts("dryRun"),
  },
  "coordination.k8s.io/v1 Lease": {
    1: META,
    2: one("spec", {
      1: text("holderIdentity"),
      2: int("leaseDurationSeconds"),
      3: { name: "acquireTime", as: "micro-time" },
      4: { name: "renewTime", as: "micro-time" },
      5: int("leaseTransitions"),
    }),
  },
  "authentication.k8s.io/v1 TokenRequest": {
    1: META,
    2: one("spec", {
      1: texts("audiences"),
      3: one("boundObjectRef", { 1: text("kind"), 2: text("apiVersion"), 3: text("name"), 4: text("uid") }),
      4: int("expirationSeconds"),
    }),
  },
  "authentication.k8s.io/v1 TokenReview": { 1: META, 2: one("spec", { 1: text("token"), 2: texts("audiences") }) },
  "authentication.k8s.io/v1 SelfSubjectReview": { 1: META },
  "authorization.k8s.io/v1 SelfSubjectAccessReview": {
    1: META,
    2: one("spec", {
      1: one("resourceAttributes", RESOURCE_ATTRIBUTES),
      2: one("nonResourceAttributes", { 1: text("path"), 2: text("verb") }),
    }),
  },
};

/** runtime.Unknown, the envelope of every object. */
const ENVELOPE: Message = {
  1: one("typeMeta", { 1: text("apiVersion"), 2: text("kind") }),
  2: { name: "raw", as: "bytes" },
};
const MAGIC = Buffer.from("k8s\0", "latin1");

/** Decodes a body; undefined when it is of a kind that is not in the table. Throws a RangeError on broken input. */
export function decodeProtobuf(body: Buffer): Json | undefined {
  if (!body.subarray(0, 4).equals(MAGIC))
    throw new RangeError("the body does not begin with the Kubernetes protobuf prefix");
  const envelope = decode(body.subarray(4), ENVELOPE) as {
    typeMeta?: { apiVersion?: string; kind?: string };
    raw?: string;
  };
  const { apiVersion = "", kind = "" } = envelope.typeMeta ?? {};
  // DeleteOptions go out under the group version of what is deleted.
  const message =
    MESSAGES[`${apiVersion} ${kind}`] ?? (kind === "DeleteOptions" ? MESSAGES["v1 DeleteOptions"] : undefined);
  if (message === undefined) return undefined;
  return { apiVersion, kind, ...decode(Buffer.from(envelope.raw ?? "", "base64"), message) };
}

function decode(bytes: Buffer, message: Message): Json {
  const result: Json = {};
  const cursor = { at: 0 };
  while (cursor.at < bytes.length) {
    const tag = varint(bytes, cursor);
    const field = message[Number(tag >> 3n)];
    const raw = wireValue(bytes, cursor, Number(tag & 7n));
    if (field === undefined) continue;
    if (field.many === "map") {
      const entry = decode(raw as Buffer, { 1: text("key"), 2: { name: "value", as: field.as } });
      const target = (result[field.name] ??= {}) as Json;
      target[typeof entry.key === "string" ? entry.key : ""] = entry.value ?? "";
    } else if (field.many === "list") ((result[field.name] ??= []) as unknown[]).push(value(raw, field.as));
    else {
      const read = value(raw, field.as);
      // Go writes empty strings and zero times for what is not set.
      if (read !== "" && read !== undefined) result[field.name] = read;
    }
  }
  return result;
}

function value(raw: bigint | Buffer, as: Reader): unknown {
  if (typeof raw === "bigint") return as === "bool" ? raw !== 0n : Number(BigInt.asIntN(64, raw));
  if (as === "string") return raw.toString("utf8");
  if (as === "bytes") return raw.toString("base64");
  if (as === "time" || as === "micro-time") {
    const { seconds, nanos } = decode(raw, { 1: int("seconds"), 2: int("nanos") });
    if (typeof seconds !== "number") return undefined;
    const milliseconds = seconds * 1000 + (typeof nanos === "number" ? Math.floor(nanos / 1e6) : 0);
    return as === "time" ? timestamp(milliseconds) : new Date(milliseconds).toISOString().replace("Z", "000Z");
  }
  return typeof as === "object" ? decode(raw, as) : undefined;
}

function wireValue(bytes: Buffer, cursor: { at: number }, wire: number): bigint | Buffer {
  if (wire === 0) return varint(bytes, cursor);
  const length = wire === 2 ? Number(varint(bytes, cursor)) : wire === 1 ? 8 : wire === 5 ? 4 : undefined;
  if (length === undefined) throw new RangeError(`wire type ${wire} is not used by Kubernetes`);
  const start = cursor.at;
  cursor.at += length;
  if (cursor.at > bytes.length) throw new RangeError("the message ends in the middle of a field");
  return bytes.subarray(start, cursor.at);
}

function varint(bytes: Buffer, cursor: { at: number }): bigint {
  let result = 0n;
  for (let shift = 0n; shift < 70n; shift += 7n) {
    const byte = bytes[cursor.at++];
    if (byte === undefined) throw new RangeError("the message ends in the middle of a number");
    result |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) return result;
  }
  throw new RangeError("a number is longer than ten bytes");
}
