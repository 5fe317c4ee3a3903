import { readFileSync } from "node:fs";
import { cloudConfigFromEnvironment, cloudConfigFromFile } from "./cloud-config.ts";
import type { CloudConfig, Environment } from "./cloud-config.ts";
import { findCloud } from "./clouds.ts";
import type { Cloud } from "./clouds.ts";

export interface LoadedCloud {
  readonly config: CloudConfig;
  readonly cloud: Cloud;
  /** What was read, or is read later by the credential: when one of them changes, everything is to be read again. */
  readonly files: readonly string[];
}

export type ReadFile = (path: string) => string;

const readText: ReadFile = (path) => readFileSync(path, "utf8");

/**
 * MIC's access to Azure as file and environment say it.
 * @param path of azure.json; empty: the environment alone
 * @throws {Error} that names what is wrong and what belongs there
 */
export function loadCloud(path: string, env: Environment, readFile: ReadFile = readText): LoadedCloud {
  const config =
    path === "" ? cloudConfigFromEnvironment(env) : cloudConfigFromFile(read(readFile, "--cloudconfig", path), env);
  const environmentFile = env["AZURE_ENVIRONMENT_FILEPATH"] ?? "";
  const files = path === "" ? [] : [path];
  const cloud = findCloud(config.cloud, () => {
    if (environmentFile === "")
      throw new Error("AZURE_ENVIRONMENT_FILEPATH is not set; cloud AzureStackCloud needs it");
    files.push(environmentFile);
    return read(readFile, "AZURE_ENVIRONMENT_FILEPATH", environmentFile);
  });
  if (config.credential.kind === "certificate") {
    // Read by the library, which would say later and less clearly that it is missing.
    read(readFile, "the client certificate", config.credential.path);
    files.push(config.credential.path);
  }
  return { config, cloud, files };
}

function read(readFile: ReadFile, what: string, path: string): string {
  try {
    return readFile(path);
  } catch (error) {
    throw new Error(
      `${what}: ${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)}); give the path of a readable file`,
      { cause: error },
    );
  }
}
