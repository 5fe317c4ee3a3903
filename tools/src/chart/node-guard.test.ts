import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

const SCRIPT = join(import.meta.dirname, "../../../charts/podid/files/node-guard.mjs");
let host: string;

beforeEach(() => {
  host = mkdtempSync(join(tmpdir(), "podid-node-guard-"));
  mkdirSync(join(host, "bin"));
  // Stands in for NMI's program, which knows the rules.
  writeFileSync(join(host, "bin/nmi"), '#!/bin/sh\ntest "$*" = "guard print" && echo "*filter"\n');
  chmodSync(join(host, "bin/nmi"), 0o755);
});
afterEach(() => rmSync(host, { recursive: true }));

function install(): void {
  const env = { HOST: host, PATH: `${join(host, "bin")}:${dirname(process.execPath)}:${process.env["PATH"]}` };
  execFileSync(process.execPath, [SCRIPT], { env });
}

test("a unit that puts the guard in before kubelet starts; installing again changes nothing", () => {
  for (const _ of [1, 2]) {
    install();
    expect(readFileSync(join(host, "etc/podid/guard.rules"), "utf8")).toBe("*filter\n");
    const unit = readFileSync(join(host, "etc/systemd/system/podid-guard.service"), "utf8");
    expect(unit).toContain("Before=kubelet.service");
    expect(unit).toContain("ExecStart=iptables-restore --noflush --wait=5 /etc/podid/guard.rules");
    expect(readlinkSync(join(host, "etc/systemd/system/multi-user.target.wants/podid-guard.service"))).toBe(
      "/etc/systemd/system/podid-guard.service",
    );
  }
});
