import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ResourceClient, RESOURCES, transportFromKubeConfig, type KubeTransport } from "@podid/kube";
import { parseNodeKubeConfig } from "@podid/kube/node-kubeconfig";
import { startKubeEmulator, type KubeEmulator } from "@podid/kube-emulator";
import { afterEach, beforeEach, expect, test } from "vitest";
import { AccountTokens } from "./account-tokens.ts";
import { applyRights, provideServiceAccounts } from "./cluster-setup.ts";

let emulator: KubeEmulator;
let transport: KubeTransport;
let directory: string;

beforeEach(async () => {
  emulator = await startKubeEmulator();
  transport = transportFromKubeConfig(parseNodeKubeConfig(emulator.kubeconfig()));
  directory = mkdtempSync(join(tmpdir(), "podid-tokens-"));
});

afterEach(async () => {
  await transport.close();
  await emulator.close();
  rmSync(directory, { recursive: true });
});

async function whoIs(token: string): Promise<string | undefined> {
  const review = await transport.request<{ status: { user?: { username?: string } } }>({
    method: "POST",
    path: "/apis/authentication.k8s.io/v1/tokenreviews",
    body: { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } },
  });
  return review.status.user?.username;
}

test("the accounts of deploy/rbac.yaml get tokens; after a rotation the file has a new one and the old one is void", async () => {
  await applyRights(transport);
  const tokens = new AccountTokens(transport, directory);
  const file = await tokens.file("kube-system", "podid-mic");
  const old = readFileSync(file, "utf8");
  expect(await whoIs(old)).toBe("system:serviceaccount:kube-system:podid-mic");
  await tokens.rotate();
  expect(await whoIs(old)).toBeUndefined();
  expect(await whoIs(readFileSync(file, "utf8"))).toBe("system:serviceaccount:kube-system:podid-mic");
  const secrets = await new ResourceClient(transport, RESOURCES.secrets).list({ namespace: "kube-system" });
  expect(secrets.items.map(({ metadata }) => metadata.name)).toEqual(["podid-mic-token-2"]);
});

test("rights that are there already are left as they are", async () => {
  await applyRights(transport);
  await applyRights(transport);
});

test("a namespace without the ServiceAccount default gets it", async () => {
  const accounts = new ResourceClient(transport, RESOURCES.serviceAccounts);
  for (const namespace of ["default", "kube-system"]) await accounts.delete("default", namespace);
  await provideServiceAccounts(transport);
  for (const namespace of ["default", "kube-system"]) await accounts.get("default", namespace);
});
