import { expect, test } from "vitest";
import { installCommand, isDebianLike, parseOsRelease } from "./distribution.ts";

test("os-release, quoted and not", () => {
  expect(
    parseOsRelease(`PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID='24.04'\nLOGO=x\n`),
  ).toEqual({
    id: "ubuntu",
    idLike: ["debian"],
    version: "24.04",
    name: "Ubuntu 24.04.1 LTS",
  });
  expect(parseOsRelease("")).toEqual({ id: "linux", idLike: [], version: "", name: "this system" });
});

test.for([
  { release: "ID=debian", debian: true, command: "sudo apt-get install -y iptables conntrack iproute2" },
  {
    release: 'ID=linuxmint\nID_LIKE="ubuntu debian"',
    debian: true,
    command: "sudo apt-get install -y iptables conntrack iproute2",
  },
  { release: "ID=fedora", debian: false, command: "sudo dnf install -y iptables-nft conntrack-tools iproute" },
  {
    release: 'ID=rocky\nID_LIKE="rhel centos fedora"',
    debian: false,
    command: "sudo dnf install -y iptables-nft conntrack-tools iproute",
  },
  { release: "ID=alpine", debian: false, command: "sudo apk add iptables conntrack-tools iproute2" },
  { release: "ID=arch", debian: false, command: "sudo pacman -S --needed iptables-nft conntrack-tools iproute2" },
  {
    release: 'ID="opensuse-leap"\nID_LIKE="suse opensuse"',
    debian: false,
    command: "sudo zypper install -y iptables conntrack-tools iproute2",
  },
])("$release", ({ release, debian, command }) => {
  const distribution = parseOsRelease(release);
  expect(isDebianLike(distribution)).toBe(debian);
  expect(installCommand(distribution, ["iptables", "conntrack", "iproute2"])).toBe(command);
});

test("an unknown distribution gets the names of the packages", () => {
  expect(installCommand(parseOsRelease("ID=nixos\nPRETTY_NAME=NixOS"), ["iptables"])).toContain(
    "iptables with the package manager of NixOS",
  );
});
