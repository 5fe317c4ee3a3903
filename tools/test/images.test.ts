import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { CUSTOM_RESOURCE_DEFINITIONS } from "@podid/crd-types";
import { startKubeEmulator } from "@podid/kube-emulator";
import { findNativeTools } from "@podid/native-tools";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { APPS } from "../src/bundle.ts";
import { programsIn } from "../src/images/root-file-system.ts";
import { succeed } from "./command.ts";
import { ImageContainer, UnpackedImage } from "./image-container.ts";

const ROOT = join(import.meta.dirname, "../..");
const isRoot = process.platform === "linux" && process.getuid?.() === 0;

/** buildah and runc want a root; elsewhere this says so by skipping. */
describe.skipIf(!isRoot)("images", () => {
  let directory: string;
  let path: string;
  const images = new Map<string, UnpackedImage>();
  const image = (app: string): UnpackedImage => images.get(app) ?? expect.unreachable(app);

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "podid-images-"));
    ({ path } = await findNativeTools({ programs: { runc: "runc", ip: "iproute2", iptables: "iptables" } }));
    await build("first");
    for (const app of APPS)
      images.set(
        app,
        await UnpackedImage.open(join(directory, "first", `${app}.tar`), join(directory, "unpacked", app)),
      );
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  const build = (name: string, ...apps: string[]): Promise<string> =>
    succeed(process.execPath, [join(ROOT, "tools/src/images.ts"), ...apps, "--output", join(directory, name)], ROOT);
  const digest = async (file: string): Promise<string> =>
    createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
  let bundles = 0;
  const start = (app: string, args: readonly string[], more: object = {}): Promise<ImageContainer> =>
    ImageContainer.start({ path, image: image(app), bundle: join(directory, `bundle-${bundles++}`), args, ...more });

  test("the same commit gives the same image, byte for byte", async () => {
    await build("second", "nmi");
    expect(await digest(join(directory, "second/nmi.tar"))).toBe(await digest(join(directory, "first/nmi.tar")));
  });

  test.for([
    { app: "mic", user: "65532:65532", programs: ["/usr/bin/mic", "/usr/bin/node"] },
    { app: "demo", user: "65532:65532", programs: ["/usr/bin/demo", "/usr/bin/node"] },
    {
      app: "nmi",
      user: "0:0",
      programs: [
        "/bin/ip",
        "/usr/bin/nmi",
        "/usr/bin/node",
        "/usr/sbin/conntrack",
        ...["legacy", "nft"].flatMap((backend) => [
          ...["", "-restore", "-save"].map((suffix) => `/usr/sbin/iptables-${backend}${suffix}`),
          `/usr/sbin/xtables-${backend}-multi`,
        ]),
      ].toSorted(),
    },
  ])("$app holds its own programs, and no shell", async ({ app, user, programs }) => {
    expect(await programsIn(image(app).root)).toEqual(programs);
    expect(image(app).config).toMatchObject({
      User: user,
      Labels: { "org.opencontainers.image.licenses": "MIT", "org.opencontainers.image.version": "0.1.0" },
    });
  });

  test.for(APPS)("%s answers --version in a container, and lists what it is made of", async (app) => {
    const container = await start(app, app === "demo" ? ["--help"] : ["--version"]);
    expect(await container.finished).toMatchObject({ code: 0 });
    const bill = JSON.parse(await readFile(join(image(app).root, "app/sbom.cdx.json"), "utf8")) as {
      components: { name: string; purl?: string }[];
    };
    const names = bill.components.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(["node", "libc6", "pino"]));
  });

  test("MIC serves /healthz", async () => {
    const api = await startKubeEmulator({ crds: CUSTOM_RESOURCE_DEFINITIONS });
    await using _ = { [Symbol.asyncDispose]: () => api.close() };
    const config = join(directory, "config");
    await mkdir(config);
    await writeFile(join(config, "kubeconfig"), api.kubeconfig());
    const env = ["MIC_POD_NAMESPACE=podid", "TENANT_ID=t", "CLIENT_ID=c", "CLIENT_SECRET=s"];
    const mic = await start("mic", ["--kubeconfig=/config/kubeconfig", "--http-probe-port=18080", "--cloudconfig="], {
      env,
      mounts: { "/config": config },
    });
    await vi.waitFor(
      async () => expect(await (await fetch("http://127.0.0.1:18080/healthz")).text()).toMatch(/Active/),
      { timeout: 30_000 },
    );
    expect(await mic.stop()).toMatchObject({ code: 0 });
  });

  test("NMI programs the rules of a network namespace with its own iptables", async () => {
    const name = `podid-image-${process.pid}`;
    const ip = (...args: string[]): Promise<unknown> => promisify(execFile)("ip", args);
    await ip("netns", "add", name);
    try {
      const run = async (...args: string[]): Promise<void> => {
        const options = { capabilities: ["CAP_NET_ADMIN", "CAP_NET_RAW"], network: `/run/netns/${name}` };
        expect(await (await start("nmi", args, options)).finished).toMatchObject({ code: 0 });
      };
      const rules = async (): Promise<string> => {
        const env = { ...process.env, PATH: path };
        return (await promisify(execFile)("ip", ["netns", "exec", name, "iptables-save"], { env })).stdout;
      };
      await run("guard");
      expect(await rules()).toContain("podid-guard");
      await run("cleanup");
      expect(await rules()).not.toContain("podid-guard");
    } finally {
      await ip("netns", "delete", name);
    }
  });
});
