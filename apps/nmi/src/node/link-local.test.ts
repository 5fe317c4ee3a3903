import type { Exec } from "@podid/iptables";
import { expect, test } from "vitest";
import { addLinkLocal, nodeAddresses, removeLinkLocal } from "./link-local.ts";

const ADDRESS = "169.254.25.79";

function recorder(code = 0): { exec: Exec; commands: string[] } {
  const commands: string[] = [];
  const exec: Exec = (command, args) => {
    commands.push([command, ...args].join(" "));
    return Promise.resolve({ code, stdout: "", stderr: "RTNETLINK answers: Operation not permitted\n" });
  };
  return { exec, commands };
}

test("an absent link-local address is put on the loopback interface, and taken off it", async () => {
  const { exec, commands } = recorder();
  expect(await addLinkLocal(ADDRESS, exec, () => new Set())).toBe(true);
  await removeLinkLocal(ADDRESS, exec);
  expect(commands).toEqual([`ip address add ${ADDRESS}/32 dev lo scope host`, `ip address del ${ADDRESS}/32 dev lo`]);
});

test.for([
  ["one that is there", ADDRESS, [ADDRESS]],
  ["loopback", "127.0.0.1", []],
  ["a routable address", "10.0.0.4", []],
  ["the wildcard", "0.0.0.0", []],
] as const)("%s is left alone", async ([, address, present]) => {
  const { exec, commands } = recorder();
  expect(await addLinkLocal(address, exec, () => new Set(present))).toBe(false);
  expect(commands).toEqual([]);
});

test("a refusal says what to run", async () => {
  await expect(addLinkLocal(ADDRESS, recorder(2).exec, () => new Set())).rejects.toThrow(
    /169\.254\.25\.79.*not permitted.*ip address add/,
  );
});

test("the node's addresses are the kernel's", () => {
  expect(nodeAddresses().has("127.0.0.1")).toBe(true);
});
