import type { App } from "../bundle.ts";

/** What an image holds besides Node and the app's bundle. */
export interface ImageContents {
  /** Options of Node. One at most: they stand in the first line of the bundle, which the kernel reads. */
  readonly nodeOption: string;
  /** Debian packages; what they depend on comes along. */
  readonly packages: readonly string[];
  /** Of what comes along, that which no program that stays needs. */
  readonly without?: readonly string[];
  /** Programs of these packages that stay; every other one is left out. Links point at the program they are another name of. */
  readonly programs: Readonly<Record<string, { readonly linkTo?: string }>>;
}

const XTABLES = Object.fromEntries(
  (["nft", "legacy"] as const).flatMap((backend) => {
    const multi = `xtables-${backend}-multi`;
    const names = ["", "-save", "-restore"].map((suffix) => `usr/sbin/iptables-${backend}${suffix}`);
    return [[`usr/sbin/${multi}`, {}], ...names.map((name) => [name, { linkTo: multi }])];
  }),
) as ImageContents["programs"];

/** Node needs libstdc++ and what that needs. NMI calls iptables, whichever of its backends the node uses, conntrack and ip. */
export const CONTENTS: Readonly<Record<App, ImageContents>> = {
  // Most of what MIC holds is old; a small nursery keeps the rest from growing before it is looked at.
  mic: { nodeOption: "--max-semi-space-size=2", packages: ["libstdc++6"], programs: {} },
  nmi: {
    // A small nursery saves memory on every node. With a smaller one, requests under way would count as old, and stay.
    nodeOption: "--max-semi-space-size=2",
    packages: ["libstdc++6", "iptables", "conntrack", "iproute2"],
    // `ss` and `arpd` of iproute2 need these; `ip` does not.
    without: [
      "debconf",
      "libcap2-bin",
      "libcom-err2",
      "libdb5.3",
      "libgssapi-krb5-2",
      "libk5crypto3",
      "libkeyutils1",
      "libkrb5-3",
      "libkrb5support0",
      "libpcre2-8-0",
      "libselinux1",
      "libssl3",
      "libtirpc-common",
      "libtirpc3",
    ],
    programs: { ...XTABLES, "usr/sbin/conntrack": {}, "bin/ip": {} },
  },
  demo: { nodeOption: "", packages: ["libstdc++6"], programs: {} },
};
