import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import { stringify } from "yaml";

const DIRECTORY = fileURLToPath(new URL("../../charts/podid/crds/", import.meta.url));
/** `helm show crds` of Helm 3 prints the files one after the other; without the dashes kubectl would see one object. */
const HEADER = "---\n# Made from packages/crd-types by `npm run -w @podid/crd-types generate`. Change it there.\n";

/** File name → YAML of each CRD, as it has to be under charts/podid/crds. */
export function crdFiles(): Map<string, string> {
  return new Map(
    CUSTOM_RESOURCE_DEFINITIONS.map((definition) => [
      `${definition.spec.names.plural}.yaml`,
      // Schemas share parts; YAML aliases for them would be valid, but hard to read and a diff would show one change in odd places.
      HEADER + stringify(definition, { aliasDuplicateObjects: false, lineWidth: 120 }),
    ]),
  );
}

/** What is wrong with a folder of CRDs: a sentence per file that is missing, differs or is not one of them. */
export async function crdDrift(directory = DIRECTORY): Promise<string[]> {
  const wanted = crdFiles();
  const present = await readdir(directory).catch((): string[] => []);
  const drift = present.filter((name) => !wanted.has(name)).map((name) => `${name} is no CRD of @podid/crd-types`);
  for (const [name, yaml] of wanted) {
    if (!present.includes(name)) drift.push(`${name} is missing`);
    else if ((await readFile(join(directory, name), "utf8")) !== yaml) drift.push(`${name} differs`);
  }
  return drift;
}

/** Makes the folder hold exactly the CRDs. */
export async function writeCrds(directory = DIRECTORY): Promise<void> {
  await mkdir(directory, { recursive: true });
  const wanted = crdFiles();
  for (const name of await readdir(directory)) {
    if (!wanted.has(name)) await rm(join(directory, name));
  }
  for (const [name, yaml] of wanted) await writeFile(join(directory, name), yaml);
}

if (import.meta.main) {
  if (process.argv.includes("--check")) {
    const drift = await crdDrift();
    for (const line of drift) process.stderr.write(`charts/podid/crds: ${line}\n`);
    if (drift.length > 0) {
      process.stderr.write("run: npm run -w @podid/crd-types generate\n");
      process.exitCode = 1;
    }
  } else {
    await writeCrds();
  }
}
