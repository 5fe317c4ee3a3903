export { normalizeAddress } from "./address.ts";
export { systemClock } from "./clock.ts";
export type { Clock } from "./clock.ts";
export { decide } from "./decide.ts";
export type { Decision, DecisionRules, UpstreamWaiting, WaitReason } from "./decide.ts";
export { FairLimiter, LimiterFullError } from "./fair-limiter.ts";
export type { FairLimiterOptions } from "./fair-limiter.ts";
export type { BrokerStatistics } from "./broker-statistics.ts";
export { HttpImdsClient, ImdsError } from "./imds-client.ts";
export type {
  ImdsAnswer,
  ImdsCallOptions,
  ImdsClient,
  ImdsClientOptions,
  ImdsSink,
  ImdsStreamer,
} from "./imds-client.ts";
export { ImdsForwarder } from "./imds-forwarder.ts";
export type { ImdsForwarderOptions } from "./imds-forwarder.ts";
export { imdsServer } from "./imds-server.ts";
export { ImdsSource } from "./imds-source.ts";
export { ParkingLot } from "./parking-lot.ts";
export { parseRequest } from "./parse-request.ts";
export type { RequestRules, WireRequest } from "./parse-request.ts";
export { isFromHost } from "./host-token.ts";
export { imdsListener } from "./listener.ts";
export type { Exchange, ImdsListener, ImdsProxyOptions } from "./listener.ts";
export { imdsProxy, imdsServerOptions } from "./plugin.ts";
export type { Attachment, Ownership, PodCandidate, PodDirectory, Standing } from "./pod-directory.ts";
export { errorReply, JSON_TYPE, METADATA_REQUIRED } from "./reply.ts";
export type { ErrorReplyOptions, Reply } from "./reply.ts";
export { requestTarget } from "./request-target.ts";
export type {
  HostTokenRequest,
  ImdsRequest,
  MetadataCategory,
  MetadataRequest,
  Refusal,
  RefusalReason,
  RequestedIdentity,
  TokenRequest,
} from "./request.ts";
export { HOST_TOKEN_PATH, TOKEN_PATH } from "./routes.ts";
export type { IssuedToken } from "./issued-token.ts";
export { jwtClaim, parseTokenAnswer, tokenReply } from "./token-answer.ts";
export type { ParsedAnswer, TokenAnswer } from "./token-answer.ts";
export { IMDS_LAG_MS, TokenBroker } from "./token-broker.ts";
export type { BrokerRequest, BrokerResult, CacheOutcome, TokenBrokerOptions } from "./token-broker.ts";
export { DEFAULT_RULES, TokenService } from "./token-service.ts";
export type { TokenServiceOptions } from "./token-service.ts";
export type { TokenCall, TokenServiceRules } from "./assessor.ts";
export type { TokenFacts, TokenResult } from "./token-result.ts";
export type { TokenSnapshot } from "./token-snapshot.ts";
export type {
  Limiter,
  NotYet,
  Refused,
  SourceOutcome,
  SourceRequest,
  TokenSource,
  Unavailable,
} from "./token-source.ts";
