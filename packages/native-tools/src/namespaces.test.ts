import { expect, test } from "vitest";
import { explainRefusal, type NamespaceFacts } from "./namespaces.ts";

const facts: NamespaceFacts = {
  uid: 1000,
  refusal: "unshare: unshare failed: Operation not permitted",
  settings: {},
  capabilities: "0",
  seccomp: "0",
  container: false,
};
const all = "000001ffffffffff";

test.for<{ name: string; given: Partial<NamespaceFacts>; want: string; run: string }>([
  {
    name: "Debian's switch",
    given: { settings: { "kernel.unprivileged_userns_clone": "0" } },
    want: "kernel.unprivileged_userns_clone is 0",
    run: "sudo sysctl -w kernel.unprivileged_userns_clone=1",
  },
  {
    name: "no user namespaces at all",
    given: { settings: { "user.max_user_namespaces": "0" } },
    want: "user.max_user_namespaces is 0",
    run: "sudo sysctl -w user.max_user_namespaces=15000",
  },
  {
    name: "no network namespaces",
    given: { uid: 0, capabilities: all, settings: { "user.max_net_namespaces": "0" } },
    want: "user.max_net_namespaces is 0",
    run: "sudo sysctl -w user.max_net_namespaces=1024",
  },
  {
    name: "Ubuntu's AppArmor",
    given: { settings: { "kernel.apparmor_restrict_unprivileged_userns": "1" } },
    want: "AppArmor",
    run: "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
  },
  {
    name: "root of a container",
    given: { uid: 0, capabilities: "00000000a80425fb", container: true, seccomp: "2" },
    want: "lacks CAP_SYS_ADMIN and CAP_NET_ADMIN (a container",
    run: "docker run --privileged",
  },
  {
    name: "user in a container with a filter",
    given: { seccomp: "2", container: true },
    want: "seccomp filter of the container runtime",
    run: "--security-opt seccomp=unconfined",
  },
  {
    name: "read-only /proc/sys",
    given: {
      uid: 0,
      capabilities: all,
      refusal: "sh: cannot create /proc/sys/net/ipv4/ip_forward: Read-only file system",
    },
    want: "read-only",
    run: "docker run --privileged",
  },
  {
    name: "nothing known",
    given: { settings: { "user.max_user_namespaces": "96365" } },
    want: "a security module may",
    run: "Run as root",
  },
])("$name", ({ given, want, run }) => {
  const message = explainRefusal({ ...facts, ...given });
  expect(message).toContain(want);
  expect(message).toContain(run);
  expect(message).toContain("the kernel's answer: ");
});

test("root is not told about settings for ordinary users", () => {
  const message = explainRefusal({
    ...facts,
    uid: 0,
    capabilities: "0",
    settings: { "kernel.unprivileged_userns_clone": "0" },
  });
  expect(message).not.toContain("unprivileged_userns_clone");
});
