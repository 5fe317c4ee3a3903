/** The issuer that a ServiceAccount's token names, which is the cluster's; undefined for what is no such token. Verifies nothing. */
export function issuerOf(token: string): string | undefined {
  const [, payload] = token.trim().split(".");
  if (payload === undefined) return undefined;
  try {
    const { iss } = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as { readonly iss?: unknown };
    return typeof iss === "string" && /^https?:/.test(iss) ? iss : undefined;
  } catch {
    return undefined;
  }
}
