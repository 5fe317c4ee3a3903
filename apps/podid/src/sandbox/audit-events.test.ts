import { expect, test } from "vitest";
import { readAudit } from "./audit-events.ts";

const event = {
  auditID: "a",
  stage: "ResponseStarted",
  requestURI: "/api/v1/pods?watch=true&fieldSelector=spec.nodeName%3Dn1",
  verb: "watch",
  user: { username: "system:serviceaccount:kube-system:podid-nmi" },
  sourceIPs: ["127.99.1.1"],
  userAgent: "podid-nmi",
  objectRef: { resource: "pods", apiVersion: "v1" },
  responseStatus: { code: 200 },
  requestReceivedTimestamp: "2026-01-02T03:04:05.000000Z",
};

test("an open watch, its selector and its node can be read from the log", () => {
  expect(readAudit([event])).toEqual([
    {
      time: Date.UTC(2026, 0, 2, 3, 4, 5),
      user: "system:serviceaccount:kube-system:podid-nmi",
      userAgent: "podid-nmi",
      peer: "10.99.1.1",
      path: "/api/v1/pods",
      verb: "watch",
      group: "",
      resource: "pods",
      subresource: "",
      namespace: "",
      name: "",
      query: { watch: "true", fieldSelector: "spec.nodeName=n1" },
      status: 200,
      open: true,
    },
  ]);
});

test("start and end of a watch are one request, at the place of its start", () => {
  const other = { ...event, auditID: "b", stage: "ResponseComplete", verb: "list" };
  const entries = readAudit([event, other, { ...event, stage: "ResponseComplete" }]);
  expect(entries.map(({ verb, open }) => ({ verb, open }))).toEqual([
    { verb: "watch", open: false },
    { verb: "list", open: false },
  ]);
});

test.for([
  { from: "127.0.0.1", peer: "127.0.0.1" },
  { from: "127.99.2.1", peer: "10.99.2.1" },
])("a request from $from is shown as one of $peer", ({ from, peer }) => {
  expect(readAudit([{ ...event, sourceIPs: [from] }])[0]?.peer).toBe(peer);
});
