import { readFileSync } from "node:fs";

/** Where kubelet puts the token of a pod's ServiceAccount. */
const TOKEN_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/** The issuer that a ServiceAccount's token names, which is the cluster's; undefined for what is no such token. Verifies nothing. */
export function issuerOf(token: string): string | undefined {
  const [, payload] = token.trim().split(".");
  if (payload === undefined) return undefined;
  try {
    const { iss } = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as { readonly iss?: unknown };
    return typeof iss === "string" && URL.canParse(iss) ? iss : undefined;
  } catch {
    return undefined;
  }
}

/** The issuer of MIC's own token; undefined outside of a pod. */
export function ownIssuer(): string | undefined {
  try {
    return issuerOf(readFileSync(TOKEN_FILE, "utf8"));
  } catch {
    return undefined;
  }
}
