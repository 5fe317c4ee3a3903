import { redactClientId } from "@podid/crd-types";
import type { Exchange, TokenFacts } from "@podid/imds-proxy";
import type { Logger } from "@podid/service";
import type { LogLimiter } from "./log-limiter.ts";

export interface ExchangeLogOptions {
  readonly log: Logger;
  readonly limiter: LogLimiter;
}

/**
 * Upstream's access line, in which users search for `reg.path=`, and the line that says what came of a token request,
 * in upstream's words too. Cached answers and probes are logged from verbosity 1 on only; at thousands a second a line
 * each would cost more than the answers. Refusals that repeat themselves are logged now and then.
 */
export class ExchangeLog {
  readonly #log: Logger;
  readonly #limiter: LogLimiter;

  constructor({ log, limiter }: ExchangeLogOptions) {
    this.#log = log;
    this.#limiter = limiter;
  }

  exchange(exchange: Exchange): void {
    const { facts, status, refused } = exchange;
    const log = this.#log;
    const quiet = (facts?.outcome === "token" && facts.cache === "hit") || refused === "metadata-header";
    const level = quiet ? "debug" : "info";
    if (!log.isLevelEnabled(level)) return;
    let suppressed = 0;
    if (status >= 400 && !quiet) {
      const key = `${refused ?? facts?.reason ?? status}\n${facts?.pod?.uid ?? exchange.remote}`;
      const admitted = this.#limiter.admit(key);
      if (admitted === undefined) return;
      suppressed = admitted;
    }
    log[level](
      { ...fields(exchange), ...(suppressed > 0 && { suppressed }) },
      `status (${status}) took ${Math.round(exchange.durationMs * 1e6)} ns for ${request(exchange)}`,
    );
    const line = outcomeLine(exchange);
    if (line !== undefined) log[level]({}, line);
    if (exchange.broken !== undefined) log.warn({ why: exchange.broken }, "an answer of IMDS broke off");
    if (facts?.outcome === "token" && (facts.others ?? 0) > 0 && !quiet && !isNamed(exchange)) {
      log.warn(
        { pod: podOf(facts), others: facts.others },
        "several identities match a request that names none; the heaviest binding was used, then the first by namespace and name",
      );
    }
  }
}

function request({ method, path, remote }: Exchange): string {
  return `req.method=${method} reg.path=${safe(path)} req.remote=${remote}`;
}

function fields({ facts, refused }: Exchange): object {
  return {
    ...(refused === undefined ? {} : { reason: refused }),
    ...(facts === undefined ? {} : { outcome: facts.outcome }),
    ...(facts?.reason === undefined ? {} : { reason: facts.reason }),
    ...(facts?.pod === undefined ? {} : { pod: podOf(facts), podUid: facts.pod.uid }),
    ...(facts?.identity === undefined ? {} : { identity: identityOf(facts) }),
    ...(facts?.cache === undefined ? {} : { cache: facts.cache }),
    ...(facts === undefined || facts.parkedMs === 0 ? {} : { parkedMs: Math.round(facts.parkedMs) }),
  };
}

function outcomeLine(exchange: Exchange): string | undefined {
  const { facts } = exchange;
  if (exchange.refused === "metadata-header") return `metadata header is not specified, ${request(exchange)}`;
  if (facts === undefined) return undefined;
  if (facts.outcome === "token") return matchedLine(exchange, facts);
  if (facts.outcome === "forwarded") return `exception pod ${podOf(facts)} token handling`;
  const { reason, message } = facts;
  if (reason === "pod-unknown") return `failed to get pod info from pod IP: ${exchange.remote}, error: ${message}`;
  if (facts.pod === undefined) return message;
  // With an identity the choice was made, and it was the token that could not be had.
  const what = facts.identity === undefined ? "matching identities" : "service principal token";
  return `failed to get ${what} for pod: ${podOf(facts)}, error: ${message}`;
}

function matchedLine({ request: asked }: Exchange, facts: TokenFacts): string {
  const { clientId, objectId, resourceId } =
    asked.kind === "token" ? asked.requested : asked.kind === "host-token" ? asked.request.requested : {};
  const matched = `${podOf(facts)} has been matched with azure identity ${identityOf(facts)}`;
  if (clientId !== undefined) return `clientID in request: ${redactClientId(clientId)}, ${matched}`;
  if (objectId !== undefined) return `objectID in request: ${redactClientId(objectId)}, ${matched}`;
  if (resourceId !== undefined) return `resourceID in request: ${safe(resourceId)}, ${matched}`;
  return `no clientID or resourceID in request. ${matched}`;
}

function isNamed({ request: asked }: Exchange): boolean {
  const { requested } =
    asked.kind === "host-token" ? asked.request : asked.kind === "token" ? asked : { requested: {} };
  return Object.keys(requested).length > 0;
}

function podOf({ pod }: TokenFacts): string {
  return `${pod?.namespace}/${pod?.name}`;
}

function identityOf({ identity }: TokenFacts): string {
  return `${identity?.namespace}/${identity?.name}`;
}

/** A client's text in a line of the log: no line ends, not endless. */
function safe(text: string): string {
  return text.replace(/[^\x21-\x7e]/g, "?").slice(0, 256);
}
