import { describe, expect, test } from "vitest";
import { readDrainCommand } from "../../../apps/mic/src/drain/drain-command.ts";
import { parseOptions as readMic } from "../../../apps/mic/src/options.ts";
import { readCommand as readNmi } from "../../../apps/nmi/src/config.ts";
import { parseOptions as readDemo } from "../../../apps/demo/src/flags.ts";
import { renderChart } from "../chart.ts";
import { CASES } from "./cases.ts";
import { helms } from "./helm3.ts";
import { containerOf, containersOf } from "./pods.ts";
import type { Container } from "./pods.ts";

const { path: helm = "", missing } = helms().find(({ path }) => path !== undefined) ?? {
  missing: ": skipped, no helm",
};

/** As kubelet would fill it in; what comes from fields and Secrets is stood in for. */
function environment({ env = [] }: Pick<Container, "env">): Record<string, string> {
  return Object.fromEntries(env.map(({ name, value }) => [name, value ?? `the ${name}`]));
}

const AZURE_JSON = JSON.stringify({ cloud: "AzurePublicCloud", useManagedIdentityExtension: true });
/** The description of a cloud is checked as well: enough of one. */
const readFile = (path: string): string => (path.includes("stack") ? "{}" : AZURE_JSON);

/** How each container's program reads its arguments: the complaints. */
const READERS: Readonly<Record<string, (container: Container) => readonly string[]>> = {
  mic: (container) => {
    const env = { ...environment(container), CLOUD: "AzurePublicCloud" };
    const parsed = readMic(container.args ?? [], env, readFile);
    return parsed.kind === "invalid" ? parsed.errors : [];
  },
  nmi: (container) => nmiErrors(container.args ?? [], environment(container)),
  guard: (container) => nmiErrors(container.args ?? [], environment(container)),
  drain: (container) => {
    const parsed = readDrainCommand((container.args ?? []).slice(1), environment(container));
    return parsed.kind === "invalid" ? parsed.errors : [];
  },
  demo: (container) => {
    const parsed = readDemo(container.args ?? []);
    return parsed.ok ? [] : parsed.errors;
  },
};

function nmiErrors(args: readonly string[], env: Record<string, string>): readonly string[] {
  const command = readNmi(args, env);
  return command.kind === "errors" ? command.errors : [];
}

/** They run node with a script of the chart. */
const SCRIPTS = new Set(["route-localnet", "node-guard", "canary"]);

describe.skipIf(helm === "")(
  `the chart's arguments are those that the programs take${helm === "" ? missing : ""}`,
  () => {
    test.for(CASES)("$name", async ({ values }) => {
      const containers = containersOf(await renderChart({ helm, values }));
      expect(containers.map(({ name }) => name)).toContain("nmi");
      for (const container of containers.filter(({ name }) => !SCRIPTS.has(name))) {
        const read = READERS[container.name];
        expect(read?.(container) ?? `nobody reads the arguments of ${container.name}`).toEqual([]);
      }
    });

    test("a flag that there is not would be found", () => {
      expect(READERS["nmi"]?.({ name: "nmi", image: "", args: ["--node=a", "--probe-sockets=x"] })).toEqual([
        expect.stringContaining("--probe-sockets: there is no such flag"),
      ]);
    });

    test("the probe's command is one of NMI's", async () => {
      const nmi = containerOf(await renderChart({ helm }), "nmi");
      const [program, word, ...rest] = nmi.startupProbe?.exec.command ?? [];
      expect([program, word]).toEqual(["nmi", "probe"]);
      expect(rest).toContain(nmi.args?.find((argument) => argument.startsWith("--probe-socket=")));
    });
  },
);
