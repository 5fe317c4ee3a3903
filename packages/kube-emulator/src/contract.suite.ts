import { afterAll, beforeAll, describe } from "vitest";
import { builtInContract } from "./contract/built-in.suite.ts";
import { completeContract } from "./contract/complete.suite.ts";
import { customResourceContract } from "./contract/custom-resource.suite.ts";
import { deletingContract } from "./contract/deleting.suite.ts";
import { cleanUp, prepare } from "./contract/fixture.ts";
import type { Fixture } from "./contract/fixture.ts";
import { readingContract } from "./contract/reading.suite.ts";
import type { ContractTarget } from "./contract/target.ts";
import { watchingContract } from "./contract/watching.suite.ts";
import { writingContract } from "./contract/writing.suite.ts";

export type { ContractTarget } from "./contract/target.ts";

/**
 * What podid relies on in the Kubernetes API, as requests and answers on the wire. The emulator and a real
 * kube-apiserver are both held to it. It makes a namespace and a custom resource of its own and removes them.
 */
export function kubernetesContract(name: string, start: () => Promise<ContractTarget>): void {
  describe(name, () => {
    let prepared: Fixture | undefined;
    const fixture = (): Fixture => {
      if (prepared === undefined) throw new Error("the server under test has not been prepared");
      return prepared;
    };
    beforeAll(async () => {
      prepared = await prepare(await start());
    }, 90_000);
    afterAll(async () => {
      if (prepared === undefined) return;
      await cleanUp(prepared);
      await prepared.target.close();
    }, 30_000);
    describe("reading", () => {
      readingContract(fixture);
    });
    describe("watching", () => {
      watchingContract(fixture);
    });
    describe("writing", () => {
      writingContract(fixture);
    });
    describe("deleting", () => {
      deletingContract(fixture);
    });
    describe("custom resources", () => {
      customResourceContract(fixture);
    });
    describe("built-ins", () => {
      builtInContract(fixture);
    });
    describe("complete", () => {
      completeContract(fixture);
    });
  });
}
