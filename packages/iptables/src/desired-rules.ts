import { checkRuleOptions, type RuleOptions } from "./rule-options.ts";

/** Chain that sends pods' metadata requests to NMI; the name and the text of its rules are upstream's. */
export const REDIRECT_CHAIN = "aad-metadata";
/** Chain that stops what was not redirected; upstream's shutdown does not know it, so it outlives upstream's NMI. */
export const GUARD_CHAIN = "podid-guard";

/** One chain of ours, and the built-in chain that must jump to it. */
export interface DesiredChain {
  readonly table: "filter" | "mangle" | "nat";
  readonly chain: string;
  readonly hook: string;
  /** Rule texts as `iptables-save` prints them, without `-A CHAIN`; empty: neither chain nor jump may exist. */
  readonly rules: readonly string[];
}

/** In the order in which they go in: guard before redirect. */
export type DesiredRules = readonly DesiredChain[];

/**
 * The rules that a node needs.
 *
 * The mangle layer sits in POSTROUTING, not in FORWARD: mangle's FORWARD comes before filter's, so a DROP there would
 * turn every reset of the filter layer into a silence that clients wait minutes for. Behind it, it is what still holds
 * after `iptables -F`. The node's own requests pass POSTROUTING too; a local source address tells them apart.
 *
 * @throws TypeError when an option is no IPv4 address or port.
 */
export function desiredRules(options: RuleOptions): DesiredRules {
  checkRuleOptions(options);
  const metadata = `-d ${options.metadataIp}/32 -p tcp -m tcp --dport ${options.metadataPort}`;
  const guarded = options.guard ?? true;
  return [
    {
      table: "filter",
      chain: GUARD_CHAIN,
      hook: "FORWARD",
      rules: guarded ? [`${metadata} -j REJECT --reject-with tcp-reset`] : [],
    },
    {
      table: "mangle",
      chain: GUARD_CHAIN,
      hook: "POSTROUTING",
      rules: guarded ? [`${metadata} -m addrtype ! --src-type LOCAL -j DROP`] : [],
    },
    {
      table: "nat",
      chain: REDIRECT_CHAIN,
      hook: "PREROUTING",
      rules: [
        `! -s 127.0.0.1/32 ${metadata} -j DNAT --to-destination ${options.targetIp}:${options.targetPort}`,
        "-j RETURN",
      ],
    },
  ];
}

/** Nothing of ours, redirect gone before the guard. */
export function desiredAbsence(): DesiredRules {
  return [
    { table: "nat", chain: REDIRECT_CHAIN, hook: "PREROUTING", rules: [] },
    { table: "mangle", chain: GUARD_CHAIN, hook: "POSTROUTING", rules: [] },
    { table: "filter", chain: GUARD_CHAIN, hook: "FORWARD", rules: [] },
  ];
}
