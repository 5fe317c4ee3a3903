import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * `npm run kube:build`: kube-apiserver and etcd from the Go modules that tools/kube/go.mod pins; with `-- --node` also what a
 * whole node needs. The folder that holds them is printed last; hand it on as KUBEBUILDER_ASSETS, the convention of envtest.
 */
const MODULE = join(import.meta.dirname, "../kube");
const CACHE = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
const GO_FLAGS = ["-trimpath", "-gcflags=all=-dwarf=false"];
const API_SERVER = [
  { name: "kube-apiserver", package: "k8s.io/kubernetes/cmd/kube-apiserver" },
  { name: "etcd", package: "go.etcd.io/etcd/server/v3" },
];
const NODE = ["kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"].map((name) => ({
  name,
  package: `k8s.io/kubernetes/cmd/${name}`,
}));
const PROGRAMS = process.argv.includes("--node") ? [...API_SERVER, ...NODE] : API_SERVER;

const go = spawnSync("go", ["version"], { encoding: "utf8" });
if (go.status !== 0)
  fail(
    "There is no Go toolchain on the PATH. Install Go 1.25 or newer (https://go.dev/dl), or point KUBEBUILDER_ASSETS at released binaries.",
  );

const goMod = readFileSync(join(MODULE, "go.mod"), "utf8");
const version =
  /k8s\.io\/kubernetes (v\d+\.\d+\.\d+)/.exec(goMod)?.[1] ?? fail("tools/kube/go.mod does not pin k8s.io/kubernetes");
const ldflags = ["-s", "-w", ...stamps(version)].join(" ");
const key = createHash("sha256")
  .update([goMod, readFileSync(join(MODULE, "go.sum"), "utf8"), ...GO_FLAGS, ldflags, process.arch].join("\n"))
  .digest("hex")
  .slice(0, 16);
const folder = join(CACHE, "podid", "kube", `${version}-${key}`);
mkdirSync(folder, { recursive: true });

for (const program of PROGRAMS) {
  const target = join(folder, program.name);
  if (existsSync(target)) {
    process.stdout.write(`${program.name} ${version} is there already\n`);
    continue;
  }
  const start = performance.now();
  process.stdout.write(`Building ${program.name}: up to ten minutes the first time, on two cores\n`);
  const partial = `${target}.${process.pid}.partial`;
  const built = spawnSync("go", ["build", ...GO_FLAGS, "-ldflags", ldflags, "-o", partial, program.package], {
    cwd: MODULE,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false -mod=readonly" },
  });
  if (built.status !== 0) fail(`go build ${program.package} failed`);
  renameSync(partial, target);
  process.stdout.write(`Built ${program.name} in ${((performance.now() - start) / 1000).toFixed(0)} s\n`);
}
process.stdout.write(`${folder}\n`);

/** Without these /version is empty, and clients that look at it fail. */
function stamps(gitVersion: string): string[] {
  const [major, minor] = gitVersion.slice(1).split(".");
  const values = {
    gitVersion,
    gitMajor: major,
    gitMinor: minor,
    gitCommit: "0".repeat(40),
    gitTreeState: "clean",
    buildDate: "1970-01-01T00:00:00Z",
  };
  return ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap((name) =>
    Object.entries(values).map(([variable, value]) => `-X ${name}.${variable}=${value}`),
  );
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
