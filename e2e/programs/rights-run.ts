/**
 * Runs the rights scenario in a network of its own and prints `{events, problem?}`: what MIC and NMI asked the API server for, and
 * why the scenario did not come to its end. Started inside `unshare --net --mount`.
 */
import { execFileSync } from "node:child_process";
import { findAssets } from "@podid/kube-control-plane";
import { RightsCluster } from "../src/rights-cluster.ts";
import { RightsScenario, WORKLOADS } from "../src/rights-scenario.ts";

const [mic = "", nmi = ""] = process.argv.slice(2);
const assets = await findAssets(process.env);
if (assets === undefined) throw new Error("KUBEBUILDER_ASSETS is not set");

execFileSync("ip", ["link", "set", "lo", "up"]);
for (const { address } of WORKLOADS) execFileSync("ip", ["address", "add", `${address}/32`, "dev", "lo"]);

const cluster = await RightsCluster.start(
  assets,
  WORKLOADS.map(({ namespace }) => namespace),
);
const scenario = await RightsScenario.prepare(cluster, { mic, nmi });
const problem = await scenario
  .run()
  .catch((error: unknown) => (error instanceof Error ? error.message : String(error)));
// Only what the comparison looks at: a run has thousands of fields.
const events = (await cluster.audit()).map(({ verb, requestURI, user: { username }, objectRef, responseStatus }) => ({
  verb,
  requestURI,
  user: { username },
  objectRef,
  responseStatus: { code: responseStatus?.code },
}));
await scenario.close();
await cluster.close();
process.stdout.write(`${JSON.stringify({ events, problem })}\n`, () => process.exit(0));
