import { checkRuleOptions, type RuleOptions } from "./rule-options.ts";

/** Chain that sends pods' metadata requests to NMI; the name and the text of its rules are upstream's. */
export const SHARED_CHAIN = "aad-metadata";
/** The same redirect under a name that upstream's shutdown does not know, so that it outlives upstream's NMI. */
export const REDIRECT_CHAIN = "podid-metadata";
/** Chain that stops what was not redirected. */
export const GUARD_CHAIN = "podid-guard";
/** Chain that keeps the network away from loopback services, which `route_localnet` would let in (CVE-2020-8558). */
export const LOOPBACK_CHAIN = "podid-loopback";
/** Chain for what processes in the node's own network send. */
export const HOST_CHAIN = "podid-host";

/** One chain of ours, and the built-in chain that must jump to it. */
export interface DesiredChain {
  readonly table: "filter" | "mangle" | "nat";
  readonly chain: string;
  readonly hook: string;
  /** Rule texts as `iptables-save` prints them, without `-A CHAIN`; empty: neither chain nor jump may exist. */
  readonly rules: readonly string[];
  /** The jump has to stand before any to this chain, which decides otherwise for the same packets. */
  readonly before?: string;
}

/** In the order in which they go in: guard before redirect. */
export type DesiredRules = readonly DesiredChain[];

const WIRE_SERVER = "168.63.129.16/32";
/** Of goal states and of the host's plugins; its DNS on port 53 is what clusters resolve names with. */
const WIRE_SERVER_PORTS = [80, 32_526];

/**
 * The rules that a node needs.
 *
 * @throws TypeError when an option is no IPv4 address, port or cgroup path.
 */
export function desiredRules(options: RuleOptions): DesiredRules {
  const guard = guardRules(options);
  const metadata = metadataMatch(options);
  const redirect = [
    `! -s 127.0.0.1/32 ${metadata} -j DNAT --to-destination ${options.targetIp}:${options.targetPort}`,
    "-j RETURN",
  ];
  const host = hostRules(options);
  return [
    ...guard,
    ...(options.sharedChain === "leave"
      ? []
      : [{ table: "nat", chain: SHARED_CHAIN, hook: "PREROUTING", rules: redirect } as const]),
    { table: "nat", chain: REDIRECT_CHAIN, hook: "PREROUTING", rules: redirect, before: SHARED_CHAIN },
    // Last: a kernel that cannot match control groups refuses them, and what is above has to be in by then.
    { table: "filter", chain: HOST_CHAIN, hook: "OUTPUT", rules: host.filter },
    { table: "nat", chain: HOST_CHAIN, hook: "OUTPUT", rules: host.nat },
  ];
}

/**
 * Only what refuses; it needs nobody who listens.
 *
 * The mangle layer sits in POSTROUTING, not in FORWARD: mangle's FORWARD comes before filter's, so a DROP there would
 * turn every reset of the filter layer into a silence that clients wait minutes for. Behind it, it is what still holds
 * after `iptables -F`. The node's own requests pass POSTROUTING too; a local source address tells them apart.
 *
 * @throws TypeError as {@link desiredRules}
 */
export function guardRules(options: RuleOptions): DesiredRules {
  checkRuleOptions(options);
  const metadata = metadataMatch(options);
  const wireServer = options.blockWireServer
    ? WIRE_SERVER_PORTS.map((port) => `-d ${WIRE_SERVER} -p tcp -m tcp --dport ${port}`)
    : [];
  const guarded = options.guard === false ? [] : [metadata, ...wireServer];
  const loopback = options.targetIp.startsWith("127.");
  return [
    {
      table: "filter",
      chain: GUARD_CHAIN,
      hook: "FORWARD",
      rules: guarded.map((match) => `${match} -j REJECT --reject-with tcp-reset`),
    },
    {
      table: "mangle",
      chain: GUARD_CHAIN,
      hook: "POSTROUTING",
      rules: guarded.map((match) => `${match} -m addrtype ! --src-type LOCAL -j DROP`),
    },
    {
      table: "mangle",
      chain: LOOPBACK_CHAIN,
      hook: "PREROUTING",
      // Before nat's PREROUTING, so a redirected packet still has the address that the pod wrote.
      rules: loopback ? ["-d 127.0.0.0/8 ! -i lo -j DROP", "-s 127.0.0.0/8 ! -i lo -j DROP"] : [],
    },
  ];
}

/** Nothing of ours, redirect gone before the guard. */
export function desiredAbsence(options: Pick<RuleOptions, "sharedChain"> = {}): DesiredRules {
  const gone = (table: DesiredChain["table"], chain: string, hook: string): DesiredChain => ({
    table,
    chain,
    hook,
    rules: [],
  });
  return [
    ...(options.sharedChain === "leave" ? [] : [gone("nat", SHARED_CHAIN, "PREROUTING")]),
    gone("nat", REDIRECT_CHAIN, "PREROUTING"),
    gone("nat", HOST_CHAIN, "OUTPUT"),
    gone("filter", HOST_CHAIN, "OUTPUT"),
    gone("mangle", LOOPBACK_CHAIN, "PREROUTING"),
    gone("mangle", GUARD_CHAIN, "POSTROUTING"),
    gone("filter", GUARD_CHAIN, "FORWARD"),
  ];
}

function metadataMatch({ metadataIp, metadataPort }: RuleOptions): string {
  return `-d ${metadataIp}/32 -p tcp -m tcp --dport ${metadataPort}`;
}

/** The allowed ones leave the chain; the rest is redirected, and refused should the redirect be gone. */
function hostRules(options: RuleOptions): { readonly filter: readonly string[]; readonly nat: readonly string[] } {
  if (options.hostNetwork === undefined) return { filter: [], nat: [] };
  const metadata = metadataMatch(options);
  const allowed = options.hostNetwork.allow.map((path) => `${metadata} -m cgroup --path ${path} -j RETURN`);
  return {
    filter: [...allowed, `${metadata} -j REJECT --reject-with tcp-reset`],
    nat: [...allowed, `${metadata} -j DNAT --to-destination ${options.targetIp}:${options.targetPort}`],
  };
}
