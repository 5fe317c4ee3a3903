import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { findKubeClient } from "../kube-clients.ts";

export const HELM3_MODULE = join(import.meta.dirname, "../../helm3");
const CACHE = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");

export interface Helm3Build {
  /** Where the program is, or will be. */
  readonly path: string;
  readonly version: string;
  readonly flags: readonly string[];
  readonly ldflags: string;
}

/** How helm 3 is built here. */
export function helm3Build(): Helm3Build {
  const goMod = readFileSync(join(HELM3_MODULE, "go.mod"), "utf8");
  const version = /helm\.sh\/helm\/v3 (v3\.\d+\.\d+)/.exec(goMod)?.[1];
  const kubernetes = /k8s\.io\/client-go v0\.(\d+)\.\d+/.exec(goMod)?.[1];
  if (version === undefined || kubernetes === undefined)
    throw new Error("tools/helm3/go.mod does not pin helm.sh/helm/v3 and k8s.io/client-go");
  // As helm's own Makefile does it: `helm template` takes this for the cluster's version, and 1.20 without.
  const stamps = ["helm.sh/helm/v3/pkg/lint/rules", "helm.sh/helm/v3/pkg/chartutil"].flatMap((name) => [
    `-X ${name}.k8sVersionMajor=1`,
    `-X ${name}.k8sVersionMinor=${kubernetes}`,
  ]);
  const ldflags = ["-s", "-w", `-X helm.sh/helm/v3/internal/version.version=${version}`, ...stamps].join(" ");
  const flags = ["-trimpath", "-gcflags=all=-dwarf=false"];
  const key = createHash("sha256")
    .update([goMod, readFileSync(join(HELM3_MODULE, "go.sum"), "utf8"), ...flags, ldflags, process.arch].join("\n"))
    .digest("hex")
    .slice(0, 16);
  return { path: join(CACHE, "podid", "helm3", `${version}-${key}`, "helm"), version, flags, ldflags };
}

export interface Helm {
  readonly name: "helm 3" | "helm 4";
  readonly path: string | undefined;
  /** Why there is none, for the name of the skipped tests. */
  readonly missing: string;
}

/** Both majors, as far as they are on this machine. */
export function helms(): readonly Helm[] {
  const { path } = helm3Build();
  return [
    { name: "helm 4", path: findKubeClient("helm"), missing: ": skipped, `npm run kube:clients` fetches one" },
    {
      name: "helm 3",
      path: existsSync(path) ? path : undefined,
      missing: ": skipped, `npm run kube:helm3` builds one",
    },
  ];
}
