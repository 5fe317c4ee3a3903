import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@podid/imds-proxy";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MeetingPoint } from "./meeting-point.ts";
import { NodeLock } from "./node-lock.ts";
import { Succession } from "./succession.ts";

const silent = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
let directory: string;
let lockName: string;
let agents: Agent[];

/** One node agent: what the succession made it do. */
interface Agent {
  readonly succession: Succession;
  readonly did: string[];
  prepared: boolean;
  /** How it goes in order, and as if it were killed. */
  stop(): Promise<void>;
  kill(): Promise<void>;
}

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "succession-"));
  lockName = `podid-test-${directory}`;
  agents = [];
});
afterEach(async () => {
  await Promise.all(agents.map((agent) => agent.stop()));
  await rm(directory, { recursive: true, force: true });
});

function agent(o: { tokens?: unknown; withoutMeetingPoint?: boolean } = {}): Agent {
  const lock = new NodeLock(lockName);
  const meetingPoint = new MeetingPoint({ directory: join(directory, "state"), timeoutMs: 2_000 });
  const did: string[] = [];
  const it: Agent = {
    did,
    prepared: true,
    succession: new Succession({
      lock,
      meetingPoint: o.withoutMeetingPoint ? undefined : meetingPoint,
      clock: { setTimeout: (run) => systemClock.setTimeout(run, 5) },
      log: silent,
      unprepared: () => (it.prepared ? undefined : "caches are filled"),
      onWriter: () => Promise.resolve(void did.push("writes")),
      onSuperseded: () => {
        did.push("gives way");
        return Promise.resolve({ tokens: o.tokens });
      },
      onInherit: ({ tokens }) => void did.push(`inherits ${JSON.stringify(tokens)}`),
    }),
    stop: () => it.succession.stop((role) => Promise.resolve(void did.push(`stops as ${role}`))),
    kill: () => it.succession.stop(() => Promise.resolve()),
  };
  agents.push(it);
  return it;
}

describe("the node's rules", () => {
  test("are the first one's at once", async () => {
    const first = agent();
    await first.succession.start();
    expect([first.did, first.succession.role, first.succession.problem]).toEqual([["writes"], "writer", undefined]);
  });

  test("pass to a successor when that is prepared, with the tokens, and never to two", async () => {
    const first = agent({ tokens: { t: 1 } });
    await first.succession.start();
    const second = agent();
    second.prepared = false;
    await second.succession.start();
    expect(second.succession.problem).toContain("until caches are filled");
    expect(first.did).toEqual(["writes"]);
    second.prepared = true;
    await expect.poll(() => second.succession.role).toBe("writer");
    expect(first.did).toEqual(["writes", "gives way"]);
    expect(first.succession.role).toBe("superseded");
    expect(second.did).toEqual(['inherits {"t":1}', "writes"]);
  });

  test("come back when the successor is gone", async () => {
    const first = agent();
    await first.succession.start();
    const second = agent();
    await second.succession.start();
    await expect.poll(() => second.succession.role).toBe("writer");
    await second.kill();
    await expect.poll(() => first.succession.role).toBe("writer");
    expect(first.did).toEqual(["writes", "gives way", "writes"]);
    // And can be asked for again.
    const third = agent();
    await third.succession.start();
    await expect.poll(() => third.succession.role).toBe("writer");
  });

  test("of three only one has them, and each in its turn", async () => {
    const three = [agent(), agent(), agent()];
    for (const one of three) await one.succession.start();
    await expect.poll(() => three.filter(({ succession }) => succession.role === "writer")).toHaveLength(1);
    for (const one of three.toReversed()) {
      await one.stop();
      await expect
        .poll(
          () =>
            three.filter((other) => other.succession.role === "writer" && !other.did.at(-1)?.startsWith("stops"))
              .length,
        )
        .toBeLessThanOrEqual(1);
    }
  });

  test("are waited for where the running one cannot be asked", async () => {
    const first = agent({ withoutMeetingPoint: true });
    await first.succession.start();
    const second = agent({ withoutMeetingPoint: true });
    await second.succession.start();
    expect(second.succession.problem).toContain("--state-dir");
    await first.stop();
    await expect.poll(() => second.succession.role).toBe("writer");
    expect(first.did.at(-1)).toBe("stops as writer");
  });

  test("stay with their writer while it shuts down", async () => {
    const first = agent();
    await first.succession.start();
    const second = agent();
    second.prepared = false;
    await second.succession.start();
    let finished = (): void => undefined;
    const stopping = first.succession.stop(() => new Promise((resolve) => (finished = resolve)));
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(second.succession.role).toBe("waiting");
    finished();
    await stopping;
    await expect.poll(() => second.succession.role).toBe("writer");
  });
});
