import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";

/** Paths of the two programs. */
export interface Assets {
  readonly etcd: string;
  readonly kubeApiserver: string;
}

/**
 * The programs in the folder that KUBEBUILDER_ASSETS names (the convention of envtest: https://book.kubebuilder.io/reference/envtest).
 * @returns undefined when the variable is unset or empty
 * @throws when it is set and a program is missing there: a lane that was asked for must not turn into another one
 */
export async function findAssets(env: Readonly<Record<string, string | undefined>>): Promise<Assets | undefined> {
  const folder = env["KUBEBUILDER_ASSETS"];
  if (folder === undefined || folder === "") return undefined;
  const assets = { etcd: join(folder, "etcd"), kubeApiserver: join(folder, "kube-apiserver") };
  for (const path of Object.values(assets)) {
    await access(path, constants.X_OK).catch(() => {
      throw new Error(
        `KUBEBUILDER_ASSETS is ${folder}, but ${path} is not an executable file. Run \`npm run kube:build\` and use the folder that it prints last.`,
      );
    });
  }
  return assets;
}
