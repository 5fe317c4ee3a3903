import { afterAll, afterEach, beforeAll, describe, test } from "vitest";
import { kubeServers } from "./kube-server.ts";
import type { StartKubeServer } from "./kube-server.ts";
import { MicCluster } from "./mic-cluster.ts";

const servers = await kubeServers(process.env);

/**
 * The same scenarios on every API server of this run, each of which serves all of them, one after the other; every scenario begins
 * with nothing. Where there is no real server its part is counted as skipped, with the reason.
 */
export function onKubeServers(scenarios: (cluster: () => MicCluster) => void): void {
  for (const { title, start } of servers) {
    if (typeof start === "string") describe(`on ${title}`, () => skipped(start));
    else describe(`on ${title}`, () => served(start, scenarios));
  }
}

function skipped(reason: string): void {
  // oxlint-disable-next-line vitest/no-disabled-tests -- counted as skipped, so that nobody takes it for passed
  test.skip(`not here: ${reason}`, () => {});
}

function served(start: StartKubeServer, scenarios: (cluster: () => MicCluster) => void): void {
  let cluster: MicCluster;
  beforeAll(async () => {
    cluster = await MicCluster.start(start);
  });
  afterEach(() => cluster.reset());
  afterAll(() => cluster?.close());
  scenarios(() => cluster);
}
