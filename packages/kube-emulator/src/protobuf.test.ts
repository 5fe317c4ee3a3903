import { expect, test } from "vitest";
import { decodeProtobuf } from "./protobuf.ts";

const bytes = (field: number, content: Buffer | string): Buffer => {
  const body = Buffer.from(content);
  return Buffer.concat([Buffer.from([(field << 3) | 2, body.length]), body]);
};
const envelope = (apiVersion: string, kind: string, raw: Buffer): Buffer =>
  Buffer.concat([
    Buffer.from("k8s\0", "latin1"),
    bytes(1, Buffer.concat([bytes(1, apiVersion), bytes(2, kind)])),
    bytes(2, raw),
  ]);

test("decodes metadata, maps, repeated fields and numbers; drops what Go leaves empty", () => {
  const meta = Buffer.concat([
    bytes(1, "x"),
    bytes(3, ""),
    bytes(8, ""),
    bytes(11, Buffer.concat([bytes(1, "k"), bytes(2, "v")])),
  ]);
  const spec = Buffer.concat([bytes(1, "one"), bytes(1, "two"), Buffer.from([4 << 3, 0x90, 0x1c])]);
  expect(
    decodeProtobuf(
      envelope("authentication.k8s.io/v1", "TokenRequest", Buffer.concat([bytes(1, meta), bytes(2, spec)])),
    ),
  ).toEqual({
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: { name: "x", labels: { k: "v" } },
    spec: { audiences: ["one", "two"], expirationSeconds: 3600 },
  });
});

test("knows what it does not know, and broken input", () => {
  expect(decodeProtobuf(envelope("apps/v1", "Deployment", Buffer.alloc(0)))).toBeUndefined();
  expect(() => decodeProtobuf(Buffer.from("{}"))).toThrow("does not begin with");
  expect(() => decodeProtobuf(Buffer.from("k8s\0\x0a\x7fshort", "latin1"))).toThrow("ends in the middle");
});
