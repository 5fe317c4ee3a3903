import { expect, test } from "vitest";
import type { ContainerState, Pod } from "./pod-objects.ts";
import { containerEnvironment, imageName } from "./pod-objects.ts";
import { podStatus } from "./pod-status.ts";

const running: ContainerState = {
  name: "c",
  image: "i",
  restarts: 0,
  running: { since: 1000 },
  ended: undefined,
  backOff: false,
};
const ended = (code: number): ContainerState => ({
  ...running,
  running: undefined,
  ended: { code, startedAt: 1000, at: 2000 },
});
const waiting: ContainerState = { ...running, running: undefined };
const pod = (restartPolicy: "Always" | "OnFailure" | "Never" = "Always"): Pod => ({
  metadata: { name: "p" },
  spec: { restartPolicy },
});
const facts = { podIP: "10.244.1.2", hostIP: "10.99.1.1", startedAt: 0, initContainers: [], containers: [running] };

test.for([
  { name: "running", policy: "Always", init: [], containers: [running], phase: "Running", ready: "True" },
  {
    name: "one of two ended",
    policy: "Never",
    init: [],
    containers: [running, ended(0)],
    phase: "Running",
    ready: "False",
  },
  {
    name: "all succeeded",
    policy: "Never",
    init: [],
    containers: [ended(0), ended(0)],
    phase: "Succeeded",
    ready: "False",
  },
  { name: "one failed", policy: "Never", init: [], containers: [ended(0), ended(1)], phase: "Failed", ready: "False" },
  {
    name: "waits for its next start",
    policy: "Always",
    init: [],
    containers: [{ ...ended(1), backOff: true }],
    phase: "Running",
    ready: "False",
  },
  {
    name: "init containers at work",
    policy: "Always",
    init: [running],
    containers: [waiting],
    phase: "Pending",
    ready: "False",
  },
  {
    name: "init containers done",
    policy: "Always",
    init: [ended(0)],
    containers: [running],
    phase: "Running",
    ready: "True",
  },
  {
    name: "init container failed for good",
    policy: "Never",
    init: [ended(1)],
    containers: [waiting],
    phase: "Failed",
    ready: "False",
  },
] as const)("$name", ({ policy, init, containers, phase, ready }) => {
  const status = podStatus(pod(policy), { ...facts, initContainers: init, containers });
  expect(status["phase"]).toBe(phase);
  expect(status["conditions"]).toContainEqual(expect.objectContaining({ type: "Ready", status: ready }));
});

test("addresses stand where clients look for them", () => {
  expect(podStatus(pod(), facts)).toMatchObject({
    podIP: "10.244.1.2",
    podIPs: [{ ip: "10.244.1.2" }],
    hostIP: "10.99.1.1",
  });
});

test("a condition keeps its transition time while it holds, and foreign ones stay", () => {
  const before: Pod = {
    ...pod(),
    status: {
      conditions: [
        { type: "Ready", status: "True", lastTransitionTime: "2020-01-01T00:00:00Z" },
        { type: "podid.dev/identity-assigned", status: "True" },
      ],
    },
  };
  const { conditions } = podStatus(before, facts);
  expect(conditions).toContainEqual(
    expect.objectContaining({ type: "Ready", lastTransitionTime: "2020-01-01T00:00:00Z" }),
  );
  expect(conditions).toContainEqual({ type: "podid.dev/identity-assigned", status: "True" });
});

test("a readiness gate that nobody opened keeps the pod unready", () => {
  const gated: Pod = {
    metadata: { name: "p" },
    spec: { readinessGates: [{ conditionType: "podid.dev/identity-assigned" }] } as Pod["spec"],
  };
  const ready = (p: Pod) =>
    (podStatus(p, facts)["conditions"] as { type: string; status: string }[]).find((c) => c.type === "Ready")?.status;
  expect(ready(gated)).toBe("False");
  expect(ready({ ...gated, status: { conditions: [{ type: "podid.dev/identity-assigned", status: "True" }] } })).toBe(
    "True",
  );
});

test("the downward API's fields", () => {
  const given: Pod = { metadata: { name: "p", namespace: "n", uid: "u" }, spec: { nodeName: "node" } };
  const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const container = {
    name: "c",
    env: [
      { name: "A", value: "1" },
      field("N", "metadata.namespace"),
      field("IP", "status.podIP"),
      field("X", "metadata.labels"),
    ],
  };
  expect(containerEnvironment(given, container, facts)).toEqual({ A: "1", N: "n", IP: "10.244.1.2", X: "" });
});

test.for([
  ["demo", "demo"],
  ["ghcr.io/podid/demo:0.1.0", "demo"],
  ["localhost:5000/x/demo@sha256:00", "demo"],
  ["demo-two:1", "demo-two"],
] as const)("image %s is %s", ([image, name]) => {
  expect(imageName(image)).toBe(name);
});
