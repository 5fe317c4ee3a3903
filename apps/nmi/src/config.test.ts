import { describe, expect, test } from "vitest";
import { readCommand } from "./config.ts";
import type { Config } from "./config.ts";

function config(argv: readonly string[], env: Record<string, string> = {}): Config {
  const command = readCommand(argv, env);
  if (command.kind !== "run") throw new Error(JSON.stringify(command));
  return command.config;
}

function errors(...argv: string[]): readonly string[] {
  const command = readCommand(argv, {});
  return command.kind === "errors" ? command.errors : [];
}

describe("flags", () => {
  test("upstream's defaults", () => {
    expect(config(["--node=n"])).toMatchObject({
      listenAddress: "127.0.0.1",
      port: 2579,
      metadataIp: "169.254.169.254",
      metadataPort: 80,
      rulesIntervalMs: 60_000,
      forceNamespaced: false,
      micNamespace: "default",
      probePort: 8080,
      metricsPort: 9090,
      ownAssignedOnly: true,
      blockInstanceMetadata: false,
      metadataHeaderRequired: true,
      mode: "standard",
      allowKubenet: false,
      kubeletConfig: "/etc/default/kubelet",
      maxWaitMs: 55_000,
      lateStatus: 504,
      lateRetryAfter: undefined,
    });
  });

  test("the arguments of upstream's chart", () => {
    const argv = [
      "--node=$(NODE_NAME)",
      "--http-probe-port=8085",
      "--enableScaleFeatures=true",
      "--metadata-header-required=true",
      "--operation-mode=standard",
      "--kubelet-config=/etc/default/kubelet",
      "--block-instance-metadata",
      "-v=2",
      "--set-retry-after-header=false",
      "--enable-conntrack-deletion=false",
      "--prometheus-port=9090",
      "--ipt-update-interval-sec=30",
    ];
    expect(config(argv)).toMatchObject({
      probePort: 8085,
      blockInstanceMetadata: true,
      rulesIntervalMs: 30_000,
      verbosity: 2,
    });
  });

  test("from the environment", () => {
    expect(config([], { NODE_NAME: "n", FORCENAMESPACED: "true", KUBECONFIG: "/k" })).toMatchObject({
      node: "n",
      forceNamespaced: true,
      kubeconfig: "/k",
    });
  });

  test.for([
    [["--retry-attempts-for-created=16"], 100_000, 404, undefined],
    [
      ["--retry-attempts-for-created=2", "--retry-attempts-for-assigned=1", "--find-identity-retry-interval=1"],
      3_000,
      404,
      undefined,
    ],
    [["--set-retry-after-header"], 55_000, 503, 20],
    [["--set-retry-after-header", "--find-identity-retry-interval=0"], 0, 503, 20],
  ] as const)("S72 upstream's budgets %j", ([argv, maxWaitMs, lateStatus, lateRetryAfter]) => {
    expect(config(["--node=n", ...argv])).toMatchObject({ maxWaitMs, lateStatus, lateRetryAfter });
  });

  test.for([
    [["--node=n", "--MICNamespace=m"], { POD_NAMESPACE: "p" }, "m"],
    [["--node=n"], { POD_NAMESPACE: "p" }, "p"],
    [["--node=n"], {}, "default"],
  ] as const)("the lifecycle ConfigMap's namespace with %j and %j", ([argv, env, want]) => {
    expect(config(argv, env).lifecycleNamespace).toBe(want);
  });

  test("S74 managed mode only in namespaced mode, in any casing; other modes are named", () => {
    expect(errors("--node=n", "--operation-mode=managed").join()).toContain(
      "managed mode not intialized in force namespaced mode",
    );
    expect(config(["--node=n", "--operation-mode=Managed", "--forceNamespaced"]).mode).toBe("managed");
    expect(errors("--node=n", "--operation-mode=foo").join()).toContain("operation mode foo not supported");
  });

  test("L-45 all mistakes at once", () => {
    expect(errors("--nmi-port=0", "--metadata-ip=::1", "serve")).toEqual([
      expect.stringContaining('"serve" is no command'),
      expect.stringContaining("--node"),
      expect.stringContaining("--nmi-port"),
      expect.stringContaining("--metadata-ip"),
    ]);
  });

  test("cleanup needs no node", () => {
    expect(readCommand(["cleanup"], {}).kind).toBe("cleanup");
    expect([readCommand(["--help"], {}).kind, readCommand(["--version"], {}).kind]).toEqual(["help", "version"]);
  });
});
