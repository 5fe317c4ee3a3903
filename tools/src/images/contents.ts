import type { App } from "../bundle.ts";

/** What an image holds besides Node and the app's bundle. */
export interface ImageContents {
  /** Options of Node. One at most: they stand in the first line of the bundle, which the kernel reads. */
  readonly nodeOption: string;
  /** Debian packages; what they depend on comes along. */
  readonly packages: readonly string[];
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

/** Node needs libstdc++ and what that needs. NMI calls iptables, whichever of its backends the node uses, and conntrack. */
export const CONTENTS: Readonly<Record<App, ImageContents>> = {
  mic: { nodeOption: "", packages: ["libstdc++6"], programs: {} },
  nmi: {
    // A small nursery saves memory on every node, and what NMI allocates per request is gone at once.
    nodeOption: "--max-semi-space-size=1",
    packages: ["libstdc++6", "iptables", "conntrack"],
    programs: { ...XTABLES, "usr/sbin/conntrack": {} },
  },
  demo: { nodeOption: "", packages: ["libstdc++6"], programs: {} },
};
