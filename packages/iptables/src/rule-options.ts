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
}

/** @throws TypeError naming every field that is wrong, its value and the fix. */
export function checkRuleOptions(options: RuleOptions): void {
  const problems = [
    ...addressProblems("metadataIp", options.metadataIp, "IMDS is served over IPv4 only, normally at 169.254.169.254"),
    ...addressProblems("targetIp", options.targetIp, "use the IPv4 address that NMI listens on, normally 127.0.0.1"),
    ...portProblems("metadataPort", options.metadataPort),
    ...portProblems("targetPort", options.targetPort),
  ];
  if (problems.length > 0) throw new TypeError(problems.join("; "));
}

function addressProblems(field: string, value: string, fix: string): string[] {
  // isValidFourPartDecimal refuses "127.1" and octal forms, which iptables would read as something else.
  return ipaddr.IPv4.isValidFourPartDecimal(value)
    ? []
    : [`${field} ${JSON.stringify(value)} is not an IPv4 address: ${fix}`];
}

function portProblems(field: string, value: number): string[] {
  return Number.isInteger(value) && value > 0 && value < 65_536
    ? []
    : [`${field} ${JSON.stringify(value)} is not a port: use a whole number from 1 to 65535`];
}
