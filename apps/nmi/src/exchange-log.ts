import { redactClientId } from "@podid/crd-types";
import type { Exchange, TokenFacts } from "@podid/imds-proxy";
import type { Logger } from "@podid/service";

/**
 * One line for what is worth one: upstream's access line, in which users search for `reg.path=`. Cached answers are
 * logged from verbosity 1 on only; at a thousand a second a line each would cost more than the answers.
 */
export function logExchange(log: Logger, exchange: Exchange): void {
  const { facts, status } = exchange;
  const quiet = (facts?.outcome === "token" && facts.cache === "hit") || exchange.refused === "metadata-header";
  const level = quiet ? "debug" : "info";
  if (!log.isLevelEnabled(level)) return;
  const text = `status (${status}) took ${Math.round(exchange.durationMs * 1e6)} ns for req.method=${exchange.method} reg.path=${safe(exchange.path)} req.remote=${exchange.remote}`;
  log[level](fields(exchange), text);
  if (facts?.outcome === "token" && !quiet) log.info({}, matched(exchange, facts));
  if (facts?.outcome === "token" && facts.others !== undefined && facts.others > 0 && !quiet && !named(exchange)) {
    log.warn(
      { pod: podOf(facts), others: facts.others },
      "several identities match a request that names none; the heaviest binding was used, then the first by namespace and name",
    );
  }
}

function fields(exchange: Exchange): object {
  const { facts, refused } = exchange;
  return {
    ...(refused === undefined ? {} : { reason: refused }),
    ...(facts === undefined ? {} : { outcome: facts.outcome }),
    ...(facts?.reason === undefined ? {} : { reason: facts.reason, why: facts.message }),
    ...(facts?.pod === undefined ? {} : { pod: podOf(facts), podUid: facts.pod.uid }),
    ...(facts?.identity === undefined ? {} : { identity: `${facts.identity.namespace}/${facts.identity.name}` }),
    ...(facts?.cache === undefined ? {} : { cache: facts.cache }),
    ...(facts === undefined || facts.parkedMs === 0 ? {} : { parkedMs: Math.round(facts.parkedMs) }),
  };
}

function matched({ request }: Exchange, facts: TokenFacts): string {
  const identity = `${facts.identity?.namespace}/${facts.identity?.name}`;
  const requested = request.kind === "token" ? request.requested : {};
  const asked = requested.clientId
    ? `clientID in request: ${redactClientId(requested.clientId)}`
    : requested.resourceId
      ? `resourceID in request: ${safe(requested.resourceId)}`
      : undefined;
  if (asked === undefined)
    return `no clientID or resourceID in request. ${podOf(facts)} has been matched with azure identity ${identity}`;
  return `${asked}, ${podOf(facts)} has been matched with azure identity ${identity}`;
}

function named({ request }: Exchange): boolean {
  return request.kind === "token" && Object.keys(request.requested).length > 0;
}

function podOf(facts: TokenFacts): string {
  return `${facts.pod?.namespace}/${facts.pod?.name}`;
}

/** A client's text in a line of the log: no line ends, not endless. */
function safe(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, "?").slice(0, 256);
}
