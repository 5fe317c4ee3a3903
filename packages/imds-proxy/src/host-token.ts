import type { Socket } from "node:net";
import { normalizeAddress } from "./address.ts";
import type { Reply } from "./reply.ts";
import { errorReply, JSON_TYPE } from "./reply.ts";
import type { TokenResult } from "./token-result.ts";

/** Upstream's words and status for anybody who is not a process of the host. */
export const NOT_FROM_HOST = errorReply(500, "not-from-host", "request remote address is not from a host");

const FIELDS = [
  "access_token",
  "refresh_token",
  "expires_in",
  "expires_on",
  "not_before",
  "resource",
  "token_type",
] as const;

/**
 * Whether a process of this very host opened the connection to a loopback address. Both ends are looked at: a packet
 * that a rule redirected keeps its sender's address, and so does one that `route_localnet` let in. Who forges the
 * loopback address as sender never gets the handshake's second packet, because the host delivers it to itself.
 */
export function isFromHost(socket: Socket): boolean {
  const remote = normalizeAddress(socket.remoteAddress ?? "");
  return (remote === "127.0.0.1" || remote === "::1") && normalizeAddress(socket.localAddress ?? "") === remote;
}

/** Upstream's answer, as the Key Vault driver reads it: seven fields in upstream's order, and the client id beside them. */
export function hostTokenReply({ reply, facts }: TokenResult): Reply {
  if (facts.outcome !== "token") return reply;
  const parsed: unknown = JSON.parse(reply.body);
  const first = (Array.isArray(parsed) ? parsed[0] : parsed) as Readonly<Record<string, string>>;
  const token = Object.fromEntries(FIELDS.map((name) => [name, first[name] ?? ""]));
  const clientid = first["client_id"] ?? facts.identity?.spec.clientID ?? "";
  return { status: 200, headers: { "content-type": JSON_TYPE }, body: JSON.stringify({ token, clientid }) };
}
