import { expect, test } from "vitest";

import { requestServiceAccountToken } from "./service-account-token.ts";
import type { KubeRequest, KubeTransport } from "./transport.ts";

function answering(answer: unknown): { transport: KubeTransport; seen: KubeRequest[] } {
  const seen: KubeRequest[] = [];
  const transport = {
    request: <T>(request: KubeRequest) => (seen.push(request), Promise.resolve(answer as T)),
    stream: () => Promise.reject(new Error("not used")),
    close: () => Promise.resolve(),
  };
  return { transport, seen };
}

const request = {
  namespace: "ns",
  serviceAccount: "sa",
  audience: "api://AzureADTokenExchange",
  expirationSeconds: 3600,
};

test("asks for a token bound to the pod and returns its expiry in milliseconds", async () => {
  const { transport, seen } = answering({ status: { token: "jwt", expirationTimestamp: "2026-01-01T01:00:00Z" } });
  const got = await requestServiceAccountToken(transport, { ...request, boundPod: { name: "p", uid: "u" } });
  expect(got).toEqual({ token: "jwt", expiresAt: Date.UTC(2026, 0, 1, 1) });
  expect(seen[0]).toMatchObject({
    method: "POST",
    path: "/api/v1/namespaces/ns/serviceaccounts/sa/token",
    body: {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: {
        audiences: ["api://AzureADTokenExchange"],
        expirationSeconds: 3600,
        boundObjectRef: { apiVersion: "v1", kind: "Pod", name: "p", uid: "u" },
      },
    },
  });
});

test.for([
  { answer: undefined },
  { answer: { status: { token: "jwt" } } },
  { answer: { status: { expirationTimestamp: "2026-01-01T01:00:00Z" } } },
])("an answer without token or expiry is an error that shows neither: $answer", async ({ answer }) => {
  const error = await requestServiceAccountToken(answering(answer).transport, request).catch((e: unknown) => e);
  expect(error).toMatchObject({ name: "KubeError", status: 0, reason: "MalformedAnswer" });
  expect(String(error)).not.toContain("jwt");
});
