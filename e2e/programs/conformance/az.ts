import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Logs az CLI in with the pod's identity and lets it get a token, as the other programs of this folder do. The first
 * argument is the Python that has it, each further one az,KIND,ID; one after the other, because az is large.
 */
const OPTIONS: Readonly<Record<string, string>> = {
  clientId: "--client-id",
  resourceId: "--resource-id",
  objectId: "--object-id",
};

const [python = "", ...asks] = process.argv.slice(2);

function run(
  config: string,
  args: readonly string[],
): Promise<{ readonly code: number | null; readonly text: string }> {
  const env = { ...process.env, AZURE_CONFIG_DIR: config, AZURE_CORE_COLLECT_TELEMETRY: "false" };
  return new Promise((resolve, reject) => {
    const child = spawn(python, ["-m", "azure.cli", ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
    let [out, err] = ["", ""];
    child.stdout.setEncoding("utf8").on("data", (text: string) => (out += text));
    child.stderr.setEncoding("utf8").on("data", (text: string) => (err += text));
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, text: code === 0 ? out : err }));
  });
}

async function answer(ask: string): Promise<{ token: string } | { error: string }> {
  const [, kind = "", id = ""] = ask.split(",");
  const config = mkdtempSync(join(tmpdir(), "podid-az-"));
  try {
    const option = OPTIONS[kind];
    const which = option === undefined ? [] : [option, id];
    const login = await run(config, ["login", "--identity", "--allow-no-subscriptions", ...which]);
    if (login.code !== 0) return { error: login.text };
    const token = await run(config, ["account", "get-access-token", "--resource", "https://management.azure.com/"]);
    if (token.code !== 0) return { error: token.text };
    return { token: (JSON.parse(token.text) as { accessToken: string }).accessToken };
  } finally {
    rmSync(config, { recursive: true, force: true });
  }
}

const answers: object[] = [];
for (const ask of asks) answers.push(await answer(ask));
process.stdout.write(JSON.stringify(answers));
