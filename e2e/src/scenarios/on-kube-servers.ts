import { afterAll, afterEach, beforeAll, describe, test } from "vitest";
import { kubeServers } from "./kube-server.ts";
import { MicCluster } from "./mic-cluster.ts";

const { present, absent } = await kubeServers(process.env);

/**
 * The same scenarios on every API server of this run, each of which serves all of them, one after the other; every scenario begins
 * with nothing. Where there is no real server its part is counted as skipped, with the reason.
 */
export function onKubeServers(scenarios: (cluster: () => MicCluster) => void): void {
  for (const { title, start } of present) {
    describe(`on ${title}`, () => {
      let cluster: MicCluster;
      beforeAll(async () => {
        cluster = await MicCluster.start(start);
      });
      afterEach(() => cluster.reset());
      afterAll(() => cluster?.close());
      scenarios(() => cluster);
    });
  }
  for (const { title, reason } of absent) {
    describe(`on ${title}`, () => {
      // oxlint-disable-next-line vitest/no-disabled-tests -- counted as skipped, so that nobody takes it for passed
      test.skip(`not here: ${reason}`, () => {});
    });
  }
}
