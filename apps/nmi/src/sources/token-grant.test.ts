import { KubeError } from "@podid/kube";
import type { KubeRequest, KubeTransport } from "@podid/kube";
import { expect, test } from "vitest";
import { TokenGrant } from "./token-grant.ts";

function transport(answers: (boolean | Error)[]): { transport: KubeTransport; requests: KubeRequest[] } {
  const requests: KubeRequest[] = [];
  return {
    requests,
    transport: {
      request: async <T>(request: KubeRequest): Promise<T> => {
        requests.push(request);
        const answer = answers.shift();
        if (answer instanceof Error) throw answer;
        return { status: { allowed: answer } } as T;
      },
      stream: () => Promise.reject(new Error("no streams")),
      close: () => Promise.resolve(),
    },
  };
}

test("asks about all namespaces, once", async () => {
  const { transport: server, requests } = transport([false]);
  const grant = new TokenGrant(server);
  expect(await grant.forbidden()).toBeUndefined();
  expect(await grant.forbidden()).toBeUndefined();
  expect(requests.map(({ body }) => (body as { spec: unknown }).spec)).toEqual([
    { resourceAttributes: { verb: "create", resource: "serviceaccounts", subresource: "token" } },
  ]);
});

test("a right to all of them forbids every token", async () => {
  expect(await new TokenGrant(transport([true]).transport).forbidden()).toMatchObject({
    kind: "refused",
    message: expect.stringContaining("--allow-cluster-wide-token-requests") as string,
  });
});

test("an API server that says nothing is no permission, and is asked again", async () => {
  const away = new KubeError("GET: connection refused", { status: 0, reason: "NetworkError" });
  const grant = new TokenGrant(transport([away, false]).transport);
  expect(await grant.forbidden()).toMatchObject({ kind: "unavailable" });
  expect(await grant.forbidden()).toBeUndefined();
});
