export { systemClock } from "./clock.ts";
export type { Clock } from "./clock.ts";
export type { Connection, ConnectionSource, TlsMaterial } from "./connection.ts";
export { transportFromKubeConfig } from "./http-transport.ts";
export type { TransportOptions } from "./http-transport.ts";
export { KubeError } from "./kube-error.ts";
export type { KubeErrorOptions } from "./kube-error.ts";
export { objectKey } from "./kube-object.ts";
export type { KubeList, KubeObject, KubeObjectMeta, WatchEvent } from "./kube-object.ts";
export { apiVersionOf, RESOURCES, resourcePath } from "./resource.ts";
export type { Resource } from "./resource.ts";
export { ResourceClient } from "./resource-client.ts";
export type {
  DeleteOptions,
  ListOptions,
  Patch,
  RequestOptions,
  WatchOptions,
  WriteOptions,
} from "./resource-client.ts";
export type { KubeRequest, KubeTransport, Log } from "./transport.ts";
export { EventRecorder } from "./event-recorder.ts";
export type { EventRecorderOptions, RecordedEvent } from "./event-recorder.ts";
export { fencedTransport } from "./fenced-transport.ts";
export { Index } from "./key-index.ts";
export { LeaderElector } from "./leader-elector.ts";
export type { LeaderElectorOptions } from "./leader-elector.ts";
export { listInto } from "./paged-list.ts";
export type { PagedListOptions } from "./paged-list.ts";
export { Reflector } from "./reflector.ts";
export type { ReflectorCounters, ReflectorOptions } from "./reflector.ts";
export type { ReflectorHandler } from "./reflector-store.ts";
export { pacedTransport, RequestRate } from "./request-rate.ts";
export type { RequestRateOptions } from "./request-rate.ts";
export { requestServiceAccountToken } from "./service-account-token.ts";
export type { ServiceAccountTokenRequest } from "./service-account-token.ts";
export { WorkQueue } from "./work-queue.ts";
export type { WorkQueueOptions, WorkResult } from "./work-queue.ts";
