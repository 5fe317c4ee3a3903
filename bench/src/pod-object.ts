import type { KubeObject } from "@podid/kube";

const STARTED_AT = "2026-01-01T00:00:05Z";

export interface PodParts {
  readonly name: string;
  /** Value of the label. */
  readonly identity: string;
  readonly nodeName: string;
  /** Number, for its address. */
  readonly at: number;
}

/** A running pod of the size that pods have, as kubelet would report it. */
export function podObject({ name, identity, nodeName, at }: PodParts): KubeObject {
  const podIP = `10.${128 + (at >> 16)}.${(at >> 8) & 255}.${at & 255}`;
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name,
      namespace: "default",
      labels: { app: identity, aadpodidbinding: identity, "pod-template-hash": "7d4b9c6f58" },
    },
    spec: podSpec(nodeName),
    status: podStatus(podIP, STARTED_AT),
  };
}

export function podSpec(nodeName: string) {
  return {
    nodeName,
    serviceAccountName: "default",
    containers: [
      {
        name: "main",
        image: "registry.example/app:1.2.3",
        ports: [{ containerPort: 8080 }],
        env: ["REGION", "LOG_LEVEL", "QUEUE"].map((variable) => ({ name: variable, value: `value of ${variable}` })),
        resources: { requests: { cpu: "100m", memory: "128Mi" }, limits: { memory: "256Mi" } },
        readinessProbe: { httpGet: { path: "/readyz", port: 8080 } },
      },
    ],
  };
}

export function podStatus(podIP: string, startedAt: string) {
  return {
    phase: "Running",
    podIP,
    podIPs: [{ ip: podIP }],
    startTime: startedAt,
    conditions: ["Initialized", "Ready", "ContainersReady", "PodScheduled"].map((type) => ({
      type,
      status: "True",
      lastTransitionTime: startedAt,
    })),
    containerStatuses: [
      {
        name: "main",
        image: "registry.example/app:1.2.3",
        imageID: `registry.example/app@sha256:${"0".repeat(64)}`,
        containerID: `containerd://${"0".repeat(64)}`,
        ready: true,
        started: true,
        restartCount: 0,
        state: { running: { startedAt } },
      },
    ],
  };
}
