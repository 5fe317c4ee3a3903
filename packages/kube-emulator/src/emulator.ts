import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Server, Socket } from "node:net";
import { Api } from "./api.ts";
import { AuditLog } from "./audit-log.ts";
import type { AuditEntry } from "./audit-log.ts";
import { NAMESPACES, SERVICE_ACCOUNTS } from "./builtin-resources.ts";
import { sendJson } from "./call.ts";
import type { Call } from "./call.ts";
import { Controllers } from "./controllers.ts";
import { CUSTOM_RESOURCE_DEFINITIONS } from "./custom-resource.ts";
import { Faults, matches } from "./faults.ts";
import { kubeconfigYaml } from "./kubeconfig.ts";
import type { PodLogs } from "./pod-log.ts";
import { Registry } from "./registry.ts";
import { requestInfo } from "./request.ts";
import type { RequestInfo } from "./request.ts";
import { ResourceStorage } from "./resource-storage.ts";
import { TokenAuthority } from "./service-account-token.ts";
import type { User } from "./service-account-token.ts";
import { SigningKey } from "./signing-key.ts";
import { ApiError, unauthorized } from "./status.ts";
import { Store } from "./store.ts";
import type { Watch } from "./watch.ts";

export interface KubeEmulatorOptions {
  /** Address to listen on; 127.0.0.1 by default. */
  readonly host?: string;
  /** 0, the default, takes a free port. */
  readonly port?: number;
  /** CustomResourceDefinition objects to serve from the start. */
  readonly crds?: readonly object[];
  /** Clock for every time that ends up in an object or a token, in milliseconds since the epoch. */
  readonly now?: () => number;
  /** Further DNS names and IP addresses that the certificate is good for. */
  readonly certificateHosts?: readonly string[];
  /** Changes remembered per resource; watches from before that get 410. 20 000 by default. */
  readonly watchHistory?: number;
  /** Between two bookmarks of a watch; 60 000 by default, as in kube-apiserver. */
  readonly bookmarkIntervalMs?: number;
  /** `iss` of ServiceAccount tokens; the emulator's own URL by default. */
  readonly issuer?: string;
  /** `jwks_uri` of OIDC discovery, for issuers that are reached under another address; the emulator's own by default. */
  readonly jwksUri?: string;
  /** Audiences of tokens for the API itself; the issuer by default. */
  readonly apiAudiences?: readonly string[];
  /** Delete owned objects with their last owner; true by default. */
  readonly collectGarbage?: boolean;
  /** From the deletion of a namespace to that of its content; 1 000 by default (kube-controller-manager: 5 000 and more). */
  readonly namespaceDeletionDelayMs?: number;
  /** Serves `kubectl logs`. */
  readonly podLogs?: PodLogs;
  /** Requests remembered by the audit log; 100 000 by default. */
  readonly auditLimit?: number;
}

export interface KubeEmulator {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  readonly port: number;
  readonly caPem: string;
  /** Bearer token of a user that may do everything. Constant for the life of the emulator. */
  readonly adminToken: string;
  /** A kubeconfig file for the admin, YAML; `server` when clients reach it under another URL. */
  kubeconfig(server?: string): string;
  /** A token of a ServiceAccount for the API, good for a year. Namespace and account are created when missing. */
  serviceAccountToken(namespace: string, name: string): Promise<string>;
  /** Serves another listening socket too, such as one from another network namespace. It stays its owner's to close. */
  accept(server: Server): void;
  readonly faults: Faults;
  readonly audit: AuditLog;
  close(): Promise<void>;
}

const ADMIN: User = {
  username: "system:admin",
  uid: "",
  groups: ["system:masters", "system:authenticated"],
  extra: {},
};
const QUIET = { dryRun: false, fieldValidation: "Ignore", warn: () => {} } as const;
const YEAR_SECONDS = 365 * 86_400;

/** Starts the server; resolves when it listens. Rejects with the listen error when address or port cannot be had. */
export async function startKubeEmulator(options: KubeEmulatorOptions = {}): Promise<KubeEmulator> {
  const host = options.host ?? "127.0.0.1";
  const now = options.now ?? Date.now;
  const adminToken = randomBytes(24).toString("base64url");
  const key = new SigningKey();
  // Loaded here because that takes longer than the rest of the start, while the signing key is in the making.
  const { createAuthority } = await import("@podid/throwaway-ca");
  // Peers check against the true time, whatever the emulated one is.
  const authority = await createAuthority({ name: "kube-emulator throw-away CA", now: Date.now() });
  const { caPem } = authority;
  const certificateHosts = ["localhost", "127.0.0.1", "::1", "kubernetes.default.svc", host];
  const { keyPem, certificatePem } = await authority.issue({
    commonName: "kube-emulator",
    hosts: [...new Set([...certificateHosts, ...(options.certificateHosts ?? [])])],
  });
  const store = new Store(options.watchHistory ?? 20_000);
  const storage = new ResourceStorage(store, now);
  const registry = new Registry();
  const audit = new AuditLog(options.auditLimit ?? 100_000);
  const watches = new Map<Watch, Call>();
  const sockets = new Set<Socket>();

  const server = createServer({ key: keyPem, cert: certificatePem });
  server.keepAliveTimeout = 120_000;
  server.requestTimeout = 0;
  // Refusing has to come before TLS, so raw connections are looked at first.
  const track = (socket: Socket): void => {
    if (faults.refusing) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  };
  server.prependListener("connection", track);

  const faults = new Faults({
    cutWatches: (match, how) => {
      const hit = [...watches].filter(([, call]) => matches(match, call.info, call.user.username));
      for (const [watch] of hit) watch.end(how);
      return hit.length;
    },
    stallWatches: (match) => {
      for (const [watch, call] of watches) if (matches(match, call.info, call.user.username)) watch.stall();
    },
    resumeWatches: () => {
      for (const watch of watches.keys()) watch.resume();
    },
    sendBookmarks: () => {
      for (const watch of watches.keys()) watch.bookmark();
    },
    compact: () => store.compact(),
    dropConnections: () => {
      for (const socket of sockets) socket.destroy();
    },
  });

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port ?? 0, host, () => resolve());
  });
  const { port } = server.address() as AddressInfo;
  const url = `https://${host.includes(":") ? `[${host}]` : host === "0.0.0.0" ? "127.0.0.1" : host}:${port}`;
  const issuer = options.issuer ?? url;
  const tokens = new TokenAuthority({ issuer, audiences: options.apiAudiences ?? [issuer], store, key, now });

  const controllers = new Controllers({
    storage,
    registry,
    caPem,
    collectGarbage: options.collectGarbage ?? true,
    namespaceDelayMs: options.namespaceDeletionDelayMs ?? 1000,
  });
  for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"])
    storage.create(NAMESPACES, "", { metadata: { name } }, QUIET);
  for (const crd of options.crds ?? []) storage.create(CUSTOM_RESOURCE_DEFINITIONS, "", crd, QUIET);

  const authenticate = async (authorization: string | undefined): Promise<User | undefined> => {
    const token = /^Bearer\s+(\S+)$/i.exec(authorization ?? "")?.[1];
    if (token === undefined) return undefined;
    if (same(token, adminToken)) return ADMIN;
    const verdict = await tokens.review(token, tokens.audiences);
    return "user" in verdict ? verdict.user : undefined;
  };
  const api = new Api({
    storage,
    registry,
    tokens,
    jwksUri: options.jwksUri ?? `${url}/openid/v1/jwks`,
    jwks: () => key.jwks(),
    podLogs: options.podLogs,
    reviewToken: async (token, audiences) => {
      if (same(token, adminToken)) return { authenticated: true, user: ADMIN, audiences };
      const verdict = await tokens.review(token, audiences);
      return "user" in verdict ? { authenticated: true, ...verdict } : { user: {}, error: verdict.error };
    },
    openWatch: (call, watch) => {
      watches.set(watch, call);
      watch.onEnd = () => watches.delete(watch);
      if (faults.isStalled(call.info, call.user.username)) watch.stall();
    },
  });

  server.on("request", (request: IncomingMessage, response: ServerResponse) => {
    void serve(request, response);
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let entry: AuditEntry | undefined;
    try {
      const info = requestInfo(request.method ?? "GET", request.url ?? "/");
      // Before anything is awaited: entries are in the order of arrival, and whoever hangs up early closes theirs.
      entry = audit.add(auditFacts(info, request, now()));
      const finished = entry;
      response.once("close", () => {
        finished.status ||= response.statusCode;
        finished.open = false;
      });
      const user = await authenticate(request.headers.authorization);
      entry.user = user?.username ?? "";
      const lost = await faults.meet(info, entry.user);
      if (response.closed) return;
      if (lost === "drop-before") {
        request.socket.destroy();
        return;
      }
      // The answer of a request whose work is done, but which nobody hears about.
      if (lost === "drop-after") response.end = () => (request.socket.destroy(), response);
      if (await api.servePublic(info, response)) return;
      if (user === undefined) throw unauthorized();
      await api.serve({ info, user, request, response, warnings: [], entry });
    } catch (error) {
      refuse(response, error);
    } finally {
      if (entry !== undefined && response.headersSent) entry.status = response.statusCode;
    }
  }

  const bookmarks = setInterval(() => faults.sendBookmarks(), options.bookmarkIntervalMs ?? 60_000);
  bookmarks.unref();

  return {
    url,
    port,
    caPem,
    adminToken,
    faults,
    audit,
    kubeconfig: (under = url) => kubeconfigYaml({ server: under, caPem, token: adminToken }),
    async serviceAccountToken(namespace, name) {
      if (storage.find(NAMESPACES, "", namespace) === undefined)
        storage.create(NAMESPACES, "", { metadata: { name: namespace } }, QUIET);
      const account =
        storage.find(SERVICE_ACCOUNTS, namespace, name) ??
        storage.create(SERVICE_ACCOUNTS, namespace, { metadata: { name } }, QUIET);
      return (await tokens.issue(account.object, { audiences: tokens.audiences, seconds: YEAR_SECONDS })).token;
    },
    accept(other) {
      other.on("connection", (socket) => server.emit("connection", socket));
    },
    async close() {
      clearInterval(bookmarks);
      controllers.stop();
      for (const watch of watches.keys()) watch.end();
      faults.clear();
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function auditFacts(
  info: RequestInfo,
  request: IncomingMessage,
  time: number,
): Omit<AuditEntry, "id" | "user" | "status" | "bytes" | "events" | "open"> {
  const { method, path, verb, group, version, resource, subresource, namespace, name } = info;
  return {
    time,
    userAgent: request.headers["user-agent"] ?? "",
    peer: request.socket.remoteAddress ?? "",
    method,
    path,
    verb,
    group,
    version,
    resource,
    subresource,
    namespace,
    name,
    query: Object.fromEntries(info.query),
  };
}

function refuse(response: ServerResponse, error: unknown): void {
  const known =
    error instanceof ApiError
      ? error
      : new ApiError(
          500,
          "InternalError",
          `Internal error occurred: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { retryAfterSeconds } = known.details ?? {};
  sendJson(
    response,
    known.code,
    known.status(),
    retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) },
  );
}

/** Compares without telling by the time it takes where the difference is. */
function same(a: string, b: string): boolean {
  return a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
