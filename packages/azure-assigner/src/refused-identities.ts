/**
 * Lower-cased ids of the user-assigned identities that an ARM error message names inside single quotes, alone or separated by commas.
 * Resource groups may hold `.`, `_`, `-`, `(` and `)`, so everything but quote, comma and slash belongs to a name.
 */
export function refusedIdentities(message: string): string[] {
  const keys = new Set<string>();
  for (const match of message.matchAll(IDENTITY)) keys.add(match[0].toLowerCase());
  return [...keys];
}

const IDENTITY =
  /(?<=['",])\/subscriptions\/[^/',"]+\/resourcegroups\/[^/',"]+\/providers\/microsoft\.managedidentity\/userassignedidentities\/[^/',"\s]+/gi;
