import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { aptOptions, makeAptFolders, parseSimulation } from "./apt.ts";

test("names of what a simulated installation would bring", () => {
  const output = `NOTE: This is only a simulation!
Inst libnfnetlink0 (1.0.2-2 Debian:12.15/oldstable [amd64])
Inst libelf1t64 [0.190] (0.191 Ubuntu:24.04/noble [amd64])
Conf libnfnetlink0 (1.0.2-2 Debian:12.15/oldstable [amd64])
`;
  expect(parseSimulation(output)).toEqual(["libnfnetlink0", "libelf1t64"]);
  expect(parseSimulation("")).toEqual([]);
});

test("own folders for everything apt writes", () => {
  const root = mkdtempSync(join(tmpdir(), "podid-apt-"));
  try {
    const folders = makeAptFolders(root);
    expect(readFileSync(folders.config, "utf8")).toContain("#clear APT::Update::Post-Invoke;");
    expect(aptOptions(folders, false)).not.toContain(`Dir::State::lists=${folders.lists}`);
    expect(aptOptions(folders, false)).not.toContain("Dir::State::status=/dev/null");
    expect(aptOptions(folders, false, true)).toContain("Dir::State::status=/dev/null");
    expect(aptOptions(folders, true)).toEqual(
      expect.arrayContaining([
        `Dir::Cache=${join(root, "cache")}`,
        `Dir::State::lists=${folders.lists}`,
        "APT::Sandbox::User=root",
      ]),
    );
  } finally {
    rmSync(root, { recursive: true });
  }
});
