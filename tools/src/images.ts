import { execFileSync } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join, relative, resolve } from "node:path";
import { parseArgs } from "node:util";
import { APPS } from "./bundle.ts";
import type { App } from "./bundle.ts";
import { Buildah } from "./images/buildah.ts";
import { makeBuildContext } from "./images/context.ts";

/**
 * `npm run images [-- mic nmi demo] [--output FOLDER] [--registry NAME] [--contexts-only]`: an OCI image of each app as a tar file,
 * built without a container engine and without a registry. The last lines name the images and their files.
 */
const ROOT = resolve(import.meta.dirname, "../..");

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    output: { type: "string", default: join(ROOT, "dist/images") },
    registry: { type: "string", default: "ghcr.io/podid" },
    "contexts-only": { type: "boolean", default: false },
  },
});
const unknown = positionals.find((name) => !isApp(name));
if (unknown !== undefined) {
  process.stderr.write(`there is no app ${JSON.stringify(unknown)}; apps with an image: ${APPS.join(", ")}\n`);
  process.exit(2);
}
const apps = positionals.length === 0 ? APPS : positionals.filter(isApp);

const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { version: string };
const commit = git("rev-parse", "--short=12", "HEAD") || "unknown";
/** Of the commit, so that building it again later gives the same image (https://reproducible-builds.org/specs/source-date-epoch/). */
const epoch = Number(process.env["SOURCE_DATE_EPOCH"] ?? (git("log", "-1", "--format=%ct") || "0"));
const date = new Date(epoch * 1000).toISOString();
const output = resolve(values.output);

const buildah = values["contexts-only"] ? undefined : await Buildah.open((line) => process.stderr.write(`${line}\n`));
const built: string[] = [];
try {
  for (const app of apps) {
    const started = performance.now();
    process.stderr.write(`${app}: gathering what goes in\n`);
    const context = join(output, app);
    await makeBuildContext(app, context, { root: ROOT, version, stamp: { commit, date } });
    if (buildah === undefined) {
      built.push(relative(process.cwd(), context) || ".");
      continue;
    }
    process.stderr.write(`${app}: building the image\n`);
    const archive = join(output, `${app}.tar`);
    const tag = `${values.registry}/${app}:${version}`;
    await buildah.build(context, tag, archive, { VERSION: version, REVISION: commit, CREATED: date }, epoch);
    const megabytes = ((await stat(archive)).size / 1e6).toFixed(0);
    const seconds = ((performance.now() - started) / 1000).toFixed(0);
    process.stderr.write(`${app}: ${megabytes} MB in ${seconds} s\n`);
    built.push(`${tag} ${relative(process.cwd(), archive)}`);
  }
} finally {
  await buildah?.close();
}
process.stdout.write(`${built.join("\n")}\n`);

function isApp(name: string): name is App {
  return (APPS as readonly string[]).includes(name);
}

function git(...args: string[]): string {
  try {
    return execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "";
  }
}
