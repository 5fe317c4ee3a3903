import { FakeClock } from "@podid/kube/testing";
import { identityRecord, bindingRecord, podRecord } from "@podid/matcher";
import { createLogger } from "@podid/service";
import { expect, test } from "vitest";
import { UnservedPods } from "./unserved-pods.ts";
import { World } from "./world.ts";

test("S28 Ignored pods: without any -v the log says why each gets nothing, once; that a Job's pod has ended is no news", () => {
  const world = new World({ forceNamespaced: false });
  const log: string[] = [];
  const unserved = new UnservedPods({
    world,
    events: { record: () => {} },
    log: createLogger({ component: "mic", format: "text", verbosity: 0, write: (line) => log.push(line) }),
    clock: new FakeClock(),
    dryRun: false,
  });
  unserved.start();
  const namespace = "ns";
  const binding = bindingRecord({
    metadata: { namespace, name: "dangling" },
    spec: { azureIdentity: "gone", selector: "dangling" },
  });
  if (binding !== undefined) world.upsertBinding(binding);
  const identity = identityRecord({ metadata: { namespace, name: "unrelated" }, spec: { type: 1 } });
  if (identity !== undefined) world.upsertIdentity(identity);
  const pod = (name: string, label: string, nodeName?: string, phase = "Running"): void => {
    const metadata = { uid: name, namespace, name, labels: { aadpodidbinding: label } };
    const record = podRecord({ metadata, spec: { nodeName }, status: { phase } });
    if (record !== undefined) world.upsertPod(record);
  };
  for (let turn = 0; turn < 2; turn += 1) {
    pod("waits", "x");
    pod("empty", "", "node");
    pod("lonely", "x", "node");
    pod("dangles", "dangling", "node");
    pod("ended", "x", "node", "Succeeded");
  }
  expect(log.map((line) => /it will be ignored|identity not found[^"]*binding/.test(line))).toEqual([
    true,
    true,
    true,
    true,
  ]);
  const text = log.join("");
  for (const line of [
    "pod ns/waits has no assigned node yet. it will be ignored",
    "pod ns/empty doesn't contain aadpodidbinding label field. it will be ignored",
    "No AzureIdentityBinding found for pod ns/lonely that matches selector: x. it will be ignored",
    "gone identity not found when using ns/dangling binding",
  ])
    expect(text).toContain(line);
});
