import type { Exchange } from "@podid/imds-proxy";
import type { Attributes, Tracing } from "@podid/service";

/**
 * A request that had to wait for something, as a span; made when it is over, so that cached answers cost nothing. What
 * a pod says about its own traces is not listened to.
 */
export function traceExchange(tracing: Tracing, exchange: Exchange, wallMs: number): void {
  const { facts, refused, request, status, durationMs } = exchange;
  if (refused !== undefined || facts?.cache === "hit") return;
  const attributes: Record<string, string | number> = {
    "http.request.method": exchange.method,
    "http.response.status_code": status,
    "podid.route": request.kind === "metadata" ? request.category : request.kind,
  };
  if (facts !== undefined) Object.assign(attributes, tokenAttributes(facts));
  const span = tracing.start("answer", { kind: "server", startedAt: wallMs - durationMs, attributes });
  span.end(status < 400 ? exchange.broken : (facts?.reason ?? `status ${status}`));
}

function tokenAttributes(facts: NonNullable<Exchange["facts"]>): Attributes {
  const { outcome, pod, identity, cache, parkedMs, sourceMs, correlationId } = facts;
  return {
    "podid.outcome": outcome,
    "podid.wait_ms": Math.round(parkedMs),
    "podid.source_ms": Math.round(sourceMs),
    ...(pod === undefined
      ? {}
      : { "k8s.namespace.name": pod.namespace, "k8s.pod.name": pod.name, "k8s.pod.uid": pod.uid }),
    ...(identity === undefined ? {} : { "podid.identity": `${identity.namespace}/${identity.name}` }),
    ...(cache === undefined ? {} : { "podid.cache": cache }),
    ...(correlationId === undefined ? {} : { "podid.entra_correlation_id": correlationId }),
  };
}
