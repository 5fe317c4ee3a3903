/** The lines that a user of the quick start waits for. */
export const EXPECTED_LINES: readonly { readonly title: string; readonly pattern: RegExp }[] = [
  { title: "VMs listed through ARM", pattern: /successfully doARMOperations vm count \d+/ },
  { title: "token by MSI", pattern: /successfully acquired a token using the MSI, msiEndpoint\(\S+\)/ },
  {
    title: "token by client id",
    pattern: /successfully acquired a token, userAssignedID MSI, msiEndpoint\(\S+\) clientID\(\S+\)/,
  },
  { title: "instance metadata", pattern: /successfully made GET on instance metadata/ },
];

export function missingLines(log: readonly string[]): string[] {
  return EXPECTED_LINES.filter(({ pattern }) => !log.some((line) => pattern.test(line))).map(({ title }) => title);
}
