import { RESOURCES, systemClock } from "@podid/kube";
import { readDrainCommand } from "../../../apps/mic/src/drain/drain-command.ts";
import { drain } from "../../../apps/mic/src/drain/drain.ts";
import { until } from "../until.ts";
import { JOBS, NAMESPACE } from "./helm-cluster.ts";
import type { HelmCluster } from "./helm-cluster.ts";

interface Job {
  readonly status?: { readonly conditions?: readonly object[] };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly serviceAccountName: string;
        readonly containers: readonly { readonly args: readonly string[] }[];
      };
    };
  };
}

/** Does the one job that `helm uninstall` waits for, as kubelet and the Job controller would: by its own ServiceAccount's rights. */
export async function doDrain(
  cluster: HelmCluster,
  timeoutMs?: number,
  { name, namespace } = { name: "podid-drain", namespace: NAMESPACE },
): Promise<string[]> {
  // One that failed before may still be there.
  const job = await until("the drain job is there", async () => {
    const found = (await cluster.find(JOBS, name, namespace)) as unknown as Job | undefined;
    const account = await cluster.find(RESOURCES.serviceAccounts, name, namespace);
    return account !== undefined && found !== undefined && found.status?.conditions === undefined ? found : undefined;
  });
  const { serviceAccountName, containers } = job.spec.template.spec;
  const command = readDrainCommand(containers[0]?.args.slice(1) ?? [], { MIC_POD_NAMESPACE: namespace });
  if (command.kind !== "run") throw new Error(`the job's arguments are wrong: ${JSON.stringify(command)}`);
  const transport = await cluster.as(serviceAccountName, namespace);
  const said: string[] = [];
  const code = await drain({
    ...command.options,
    ...(timeoutMs !== undefined && { timeoutMs }),
    transport,
    clock: systemClock,
    say: (line) => said.push(line),
    signal: new AbortController().signal,
  });
  await transport.close();
  const now = new Date().toISOString();
  const condition = (type: string): object => ({
    type,
    status: "True",
    reason: "Done",
    lastTransitionTime: now,
    lastProbeTime: now,
  });
  await cluster.of(JOBS).patch(name, namespace, {
    type: "merge",
    subresource: "status",
    body: {
      status:
        code === 0
          ? {
              startTime: now,
              completionTime: now,
              succeeded: 1,
              conditions: [condition("SuccessCriteriaMet"), condition("Complete")],
            }
          : { startTime: now, failed: 1, conditions: [condition("FailureTarget"), condition("Failed")] },
    },
  });
  return said;
}
