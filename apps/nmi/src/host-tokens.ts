import type { ImdsProxyOptions } from "@podid/imds-proxy";
import type { Clock } from "@podid/imds-proxy";
import type { Logger } from "@podid/service";
import type { Config } from "./config.ts";
import { LateEndpoint } from "./hand-over/late-endpoint.ts";
import { openHostTokenPort, openHostTokenSocket } from "./host-token-socket.ts";
import type { HostTokenSocket } from "./host-token-socket.ts";

/** Opens what serves host tokens beside the address that pods' requests arrive at, if anything has to. */
export async function openHostTokens(
  config: Pick<Config, "hostToken" | "hostTokenSocket" | "listenAddress" | "port">,
  proxy: ImdsProxyOptions,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): Promise<HostTokenSocket | undefined> {
  const { hostToken, hostTokenSocket, listenAddress, port } = config;
  if (hostToken === "unix") return openHostTokenSocket(hostTokenSocket, proxy);
  if (hostToken === "off" || listenAddress === "0.0.0.0" || listenAddress.startsWith("127.")) return undefined;
  return LateEndpoint.open({ name: "host tokens", open: () => openHostTokenPort(port, proxy), clock, log });
}
