import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { cacheFolder } from "@podid/native-tools";

const run = promisify(execFile);

export const PROGRAMS = join(import.meta.dirname, "../../programs/conformance");

/** How a request names its identity. */
export type IdKind = "none" | "clientId" | "resourceId" | "objectId";

/** A program that asks one or several official SDKs, and what they can be asked. */
export interface OfficialSdks {
  readonly name: string;
  /** Client → the kinds of id that it can name. */
  readonly clients: Readonly<Record<string, readonly IdKind[]>>;
  /** The command, or why there is none on this machine. */
  readonly found: { readonly command: readonly string[] } | { readonly why: string };
}

const ALL: readonly IdKind[] = ["none", "clientId", "resourceId", "objectId"];
/** The versions that docs/conformance.md names. */
const PYTHON_SDK = ["azure-identity==1.27.0", "msal==1.39.0"];
const AZURE_CLI = ["azure-cli==2.91.0"];
/** Without a registry this fails soon rather than after pip's many attempts. */
const INSTALL = ["install", "--quiet", "--retries", "2", "--timeout", "30"];
const INSTALL_LIMIT_MS = 600_000;

/**
 * The SDKs that can be asked on this machine. What is not in the cache yet is fetched from the language's registry with
 * `PODID_CLIENTS=fetch`: nobody who runs the tests for the first time waits for 700 MB of az CLI unasked.
 */
export async function officialSdks(): Promise<OfficialSdks[]> {
  return [
    {
      name: "Node",
      clients: { default: ["none", "clientId", "resourceId"], managed: ALL, msal: ALL },
      found: { command: [process.execPath, join(PROGRAMS, "node.ts")] },
    },
    {
      name: "Python",
      clients: { default: ["none", "clientId"], managed: ALL, msal: ALL },
      found: await python(PYTHON_SDK, (interpreter) => [interpreter, join(PROGRAMS, "sdk.py")]),
    },
    {
      name: "az CLI",
      clients: { az: ALL },
      found: await python(AZURE_CLI, (interpreter) => [process.execPath, join(PROGRAMS, "az.ts"), interpreter]),
    },
    { name: "Go", clients: { default: ["none"], managed: ALL }, found: await go() },
  ];
}

async function python(
  packages: readonly string[],
  command: (interpreter: string) => readonly string[],
): Promise<OfficialSdks["found"]> {
  const version = await run("python3", ["--version"]).catch(() => undefined);
  if (version === undefined) return { why: "python3 is not on the PATH" };
  const made = await once(`python-${hash(version.stdout, ...packages)}`, async (folder) => {
    await run("python3", ["-m", "venv", folder], { timeout: INSTALL_LIMIT_MS });
    await run(join(folder, "bin/pip"), [...INSTALL, ...packages], { timeout: INSTALL_LIMIT_MS });
  });
  return "why" in made ? made : { command: command(join(made.folder, "bin/python")) };
}

async function go(): Promise<OfficialSdks["found"]> {
  const version = await run("go", ["version"]).catch(() => undefined);
  if (version === undefined) return { why: "go is not on the PATH" };
  const source = join(PROGRAMS, "go");
  const files = ["main.go", "go.mod", "go.sum"].map((file) => readFileSync(join(source, file), "utf8"));
  const made = await once(`go-${hash(version.stdout, ...files)}`, async (folder) => {
    mkdirSync(folder);
    await run("go", ["build", "-trimpath", "-o", join(folder, "asks"), "."], {
      cwd: source,
      timeout: INSTALL_LIMIT_MS,
    });
  });
  return "why" in made ? made : { command: [join(made.folder, "asks")] };
}

/** Makes a folder of the cache once; half-made ones are made again. */
async function once(
  name: string,
  make: (folder: string) => Promise<void>,
): Promise<{ readonly folder: string } | { readonly why: string }> {
  const folder = join(cacheFolder(), "sdks", name);
  const mark = `${folder}.made`;
  if (existsSync(mark)) return { folder };
  if (process.env["PODID_CLIENTS"] !== "fetch")
    return { why: "it is not in the cache; PODID_CLIENTS=fetch fetches it" };
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(join(folder, ".."), { recursive: true });
  try {
    await make(folder);
  } catch (error) {
    const [line = ""] = (error as { stderr?: string }).stderr?.trim().split("\n").slice(-1) ?? [];
    return { why: `it cannot be installed: ${line === "" ? String(error) : line}` };
  }
  writeFileSync(mark, "");
  return { folder };
}

function hash(...parts: readonly string[]): string {
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 12);
}
