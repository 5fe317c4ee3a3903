import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { dirname } from "node:path";
import { HELM3_MODULE, helm3Build } from "./chart/helm3.ts";

/** `npm run kube:helm3`: helm 3 from the Go module that tools/helm3/go.mod pins; npm has helm 4 only. Its path is printed last. */
const { path, version, ldflags, flags } = helm3Build();
if (!existsSync(path)) {
  if (spawnSync("go", ["version"]).status !== 0)
    fail("There is no Go toolchain on the PATH. Install Go 1.25 or newer (https://go.dev/dl).");
  process.stdout.write(`Building helm ${version}: about two minutes the first time, on two cores\n`);
  mkdirSync(dirname(path), { recursive: true });
  const partial = `${path}.${process.pid}.partial`;
  const args = ["build", ...flags, "-ldflags", ldflags, "-o", partial, "helm.sh/helm/v3/cmd/helm"];
  const built = spawnSync("go", args, {
    cwd: HELM3_MODULE,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, CGO_ENABLED: "0", GOFLAGS: "-buildvcs=false -mod=readonly" },
  });
  if (built.status !== 0) fail("go build helm.sh/helm/v3/cmd/helm failed");
  renameSync(partial, path);
}
process.stdout.write(`${path}\n`);

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
