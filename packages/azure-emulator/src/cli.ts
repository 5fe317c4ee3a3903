import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { AzureEmulatorOptions } from "./emulator.ts";
import { startAzureEmulator } from "./emulator.ts";
import type { Seed } from "./state/seed.ts";

export const HELP = `azure-emulator: IMDS, Entra and ARM on the wire, with fault injection

Usage: azure-emulator [options]

  --seed FILE            state to start with, as JSON (see the README)
  --host ADDRESS         address to listen on (default 127.0.0.1)
  --port PORT            TLS port of ARM and Entra (default: any free one)
  --control-port PORT    port of the control API (default: any free one)
  --ca-directory FOLDER  where ca.pem is written (default: a temporary folder, removed at the end)
  --certificate-host NAME  further name in the TLS certificate (repeatable)
  --imds MACHINE[=PORT]  start the IMDS of this VM or scale set instance, by ARM id (repeatable)
  --json                 print the addresses as one JSON line
  --help                 this text
`;

interface CommandLine {
  readonly options: AzureEmulatorOptions;
  readonly seedFile: string | undefined;
  readonly imds: readonly { readonly machine: string; readonly port: number | undefined }[];
  readonly json: boolean;
}

/** @throws Error that names the option, its value and what it must be. */
function parseCommandLine(args: readonly string[]): CommandLine | "help" {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: "string" },
      host: { type: "string" },
      port: { type: "string" },
      "control-port": { type: "string" },
      "ca-directory": { type: "string" },
      "certificate-host": { type: "string", multiple: true },
      imds: { type: "string", multiple: true },
      json: { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) return "help";
  return {
    seedFile: values.seed,
    json: values.json ?? false,
    imds: (values.imds ?? []).map((text) => {
      const [machine = "", port] = text.split("=");
      return { machine, port: port === undefined ? undefined : portNumber("imds", port) };
    }),
    options: {
      ...(values["ca-directory"] === undefined ? {} : { caDirectory: values["ca-directory"] }),
      ...(values.host === undefined ? {} : { host: values.host }),
      ...(values.port === undefined ? {} : { port: portNumber("port", values.port) }),
      ...(values["control-port"] === undefined
        ? {}
        : { controlPort: portNumber("control-port", values["control-port"]) }),
      ...(values["certificate-host"] === undefined ? {} : { certificateHosts: values["certificate-host"] }),
    },
  };
}

/** Starts what the command line wants and prints where it is. Ends when `signal` aborts. @returns the exit code. */
export async function runCommandLine(
  args: readonly string[],
  o: {
    readonly signal: AbortSignal;
    readonly out: (text: string) => void;
    readonly err: (text: string) => void;
  },
): Promise<number> {
  try {
    const line = parseCommandLine(args);
    if (line === "help") {
      o.out(HELP);
      return 0;
    }
    const seed = line.seedFile === undefined ? undefined : (JSON.parse(await readFile(line.seedFile, "utf8")) as Seed);
    const temporary =
      line.options.caDirectory === undefined ? await mkdtemp(join(tmpdir(), "azure-emulator-")) : undefined;
    try {
      return await serve(
        {
          ...line.options,
          caDirectory: line.options.caDirectory ?? temporary ?? "",
          ...(seed === undefined ? {} : { seed }),
        },
        line,
        o,
      );
    } finally {
      if (temporary !== undefined) await rm(temporary, { recursive: true, force: true });
    }
  } catch (error) {
    o.err(`azure-emulator: ${error instanceof Error ? error.message : String(error)}\n`);
    return 1;
  }
}

async function serve(
  options: AzureEmulatorOptions,
  line: CommandLine,
  o: { readonly signal: AbortSignal; readonly out: (text: string) => void },
): Promise<number> {
  const emulator = await startAzureEmulator(options);
  try {
    const host = options.host ?? "127.0.0.1";
    const imds: Record<string, string> = {};
    for (const { machine, port } of line.imds)
      imds[machine] = (await emulator.startImds(machine, { host, ...(port === undefined ? {} : { port }) })).url;
    const addresses = {
      azure: `https://${host}:${emulator.port}`,
      control: emulator.controlUrl,
      ca: emulator.caFile,
      imds,
    };
    o.out(line.json ? `${JSON.stringify(addresses)}\n` : describe(addresses));
    await aborted(o.signal);
    return 0;
  } finally {
    await emulator.close();
  }
}

function describe(addresses: {
  azure: string;
  control: string;
  ca: string | undefined;
  imds: Readonly<Record<string, string>>;
}): string {
  return [
    `ARM and Entra  ${addresses.azure}`,
    `Control API    ${addresses.control}`,
    `CA             ${addresses.ca ?? ""}   (NODE_EXTRA_CA_CERTS, SSL_CERT_FILE, REQUESTS_CA_BUNDLE)`,
    ...Object.entries(addresses.imds).map(([machine, url]) => `IMDS           ${url}   of ${machine}`),
    "",
  ].join("\n");
}

function portNumber(option: string, text: string): number {
  const port = Number(text);
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port;
  throw new Error(`--${option} "${text}" must be a port number from 0 to 65535`);
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
