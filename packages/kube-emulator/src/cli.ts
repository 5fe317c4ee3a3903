import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { parseAllDocuments } from "yaml";
import { startKubeEmulator } from "./emulator.ts";
import type { KubeEmulator } from "./emulator.ts";
import { isObject } from "./json.ts";

export const USAGE = `Usage: kube-emulator [options]

  --crds PATH            YAML file with CustomResourceDefinitions, or a folder of them; may be repeated
  --host ADDRESS         address to listen on (127.0.0.1)
  --port N               port to listen on (0: a free one)
  --certificate-host H   further name or address for the certificate; may be repeated
  --kubeconfig-out FILE  where to write a kubeconfig for the administrator
  --help                 this text
`;

/** Starts what the arguments ask for; undefined when they only asked for help. Throws an Error that names the argument. */
export async function runCli(
  args: readonly string[],
  print: (text: string) => void,
): Promise<KubeEmulator | undefined> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      crds: { type: "string", multiple: true },
      host: { type: "string" },
      port: { type: "string" },
      "certificate-host": { type: "string", multiple: true },
      "kubeconfig-out": { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    print(USAGE);
    return undefined;
  }
  const port = Number(values.port ?? 0);
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new Error(`--port is ${JSON.stringify(values.port)}: use a whole number from 0 to 65535`);
  }
  const crds = (await Promise.all((values.crds ?? []).map(readDefinitions))).flat();
  const emulator = await startKubeEmulator({
    port,
    crds,
    certificateHosts: values["certificate-host"] ?? [],
    ...(values.host === undefined ? {} : { host: values.host }),
  });
  print(`Kubernetes API on ${emulator.url}\n`);
  const out = values["kubeconfig-out"];
  if (out !== undefined) {
    await writeFile(out, emulator.kubeconfig(), { mode: 0o600 });
    print(`kubectl --kubeconfig ${out} get namespaces\n`);
  }
  return emulator;
}

/** The CustomResourceDefinitions of a YAML file or of every YAML file in a folder; other objects are passed over. */
async function readDefinitions(path: string): Promise<object[]> {
  const isFolder = await stat(path).then(
    (found) => found.isDirectory(),
    () => {
      throw new Error(`--crds is ${JSON.stringify(path)}: there is no such file or folder`);
    },
  );
  const files = isFolder
    ? (await readdir(path)).filter((name) => /\.ya?ml$/.test(name)).map((name) => join(path, name))
    : [path];
  const texts = await Promise.all(files.toSorted().map((file) => readFile(file, "utf8")));
  return texts
    .flatMap((text) => parseAllDocuments(text).map((document): unknown => document.toJS()))
    .filter(isObject)
    .filter((object) => object.kind === "CustomResourceDefinition");
}
