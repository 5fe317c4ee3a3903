import type { App } from "../bundle.ts";

/** What an image holds besides Node and the app's bundle. */
export interface ImageContents {
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
  mic: { packages: ["libstdc++6"], programs: {} },
  nmi: {
    packages: ["libstdc++6", "iptables", "conntrack"],
    programs: { ...XTABLES, "usr/sbin/conntrack": {} },
  },
  demo: { packages: ["libstdc++6"], programs: {} },
};
