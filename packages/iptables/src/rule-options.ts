import ipaddr from "ipaddr.js";

/** What the rules of a node depend on. */
export interface RuleOptions {
  /** Address of IMDS, IPv4; Azure's is 169.254.169.254. */
  readonly metadataIp: string;
  /** Port of IMDS; Azure's is 80. */
  readonly metadataPort: number;
  /** IPv4 address NMI listens on. */
  readonly targetIp: string;
  /** Port NMI listens on. */
  readonly targetPort: number;
  /** Whether the guard belongs to the desired state; `false` takes an existing one out. Default: true. */
  readonly guard?: boolean;
  /** "leave": another program keeps the chain `aad-metadata`, which is then neither written nor removed. Default: "write". */
  readonly sharedChain?: "write" | "leave";
  /** Whether pods are refused Azure's WireServer, 168.63.129.16 on tcp ports 80 and 32526. Default: false. */
  readonly blockWireServer?: boolean;
  /** Redirects what processes in the node's own network send as well, but for some; absent: it is left alone. */
  readonly hostNetwork?: HostNetworkOptions;
}

export interface HostNetworkOptions {
  /** Paths of control groups v2 below the root, as `system.slice/kubelet.service`; each must exist. Processes below count too. */
  readonly allow: readonly string[];
}

/** What systemd and container runtimes use in names; nothing that iptables-restore could read as more than one word. */
const CGROUP_PATH = /^[\w.@:-]+(?:\/[\w.@:-]+)*$/;

/** @throws TypeError naming every field that is wrong, its value and the fix. */
export function checkRuleOptions(options: RuleOptions): void {
  const problems = [
    ...addressProblems("metadataIp", options.metadataIp, "IMDS is served over IPv4 only, normally at 169.254.169.254"),
    ...addressProblems("targetIp", options.targetIp, "use the IPv4 address that NMI listens on, normally 127.0.0.1"),
    ...portProblems("metadataPort", options.metadataPort),
    ...portProblems("targetPort", options.targetPort),
    ...(options.hostNetwork?.allow ?? []).flatMap(cgroupProblems),
  ];
  if (problems.length > 0) throw new TypeError(problems.join("; "));
}

function addressProblems(field: string, value: string, fix: string): string[] {
  // isValidFourPartDecimal refuses "127.1" and octal forms, which iptables would read as something else.
  return ipaddr.IPv4.isValidFourPartDecimal(value)
    ? []
    : [`${field} ${JSON.stringify(value)} is not an IPv4 address: ${fix}`];
}

function cgroupProblems(path: string): string[] {
  return CGROUP_PATH.test(path)
    ? []
    : [
        `hostNetwork.allow ${JSON.stringify(path)} is not a path of a control group: give it without a leading slash, as system.slice/kubelet.service`,
      ];
}

function portProblems(field: string, value: number): string[] {
  return Number.isInteger(value) && value > 0 && value < 65_536
    ? []
    : [`${field} ${JSON.stringify(value)} is not a port: use a whole number from 1 to 65535`];
}
