/** A request in the words of the emulator's audit log, as far as a real server's log holds them. */
export interface AuditedRequest {
  readonly [field: string]: unknown;
  /** Milliseconds since the epoch. */
  readonly time: number;
  readonly user: string;
  readonly userAgent: string;
  readonly peer: string;
  readonly path: string;
  readonly verb: string;
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly query: Readonly<Record<string, string>>;
  readonly status: number;
  /** Whether it is a watch that goes on. */
  readonly open: boolean;
}

interface AuditEvent {
  readonly auditID: string;
  readonly stage: string;
  readonly requestURI: string;
  readonly verb: string;
  readonly user: { readonly username: string };
  readonly sourceIPs?: readonly string[];
  readonly userAgent?: string;
  readonly objectRef?: {
    readonly apiGroup?: string;
    readonly resource?: string;
    readonly subresource?: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly requestReceivedTimestamp: string;
}

/** One entry per request, oldest first, from events of kube-apiserver's audit log (audit.k8s.io/v1). */
export function readAudit(events: readonly unknown[]): AuditedRequest[] {
  const latest = new Map<string, AuditEvent>();
  // A watch has two events; its entry keeps the place of the first.
  for (const event of events as readonly AuditEvent[]) latest.set(event.auditID, event);
  return [...latest.values()].map((event) => {
    const { pathname, searchParams } = new URL(event.requestURI, "https://server");
    const { apiGroup = "", resource = "", subresource = "", namespace = "", name = "" } = event.objectRef ?? {};
    return {
      time: Date.parse(event.requestReceivedTimestamp),
      user: event.user.username,
      userAgent: event.userAgent ?? "",
      // The relay comes from 127.X for 10.X.
      peer: (event.sourceIPs?.[0] ?? "").replace(/^127\.(?!0\.0\.1$)/, "10."),
      path: pathname,
      verb: event.verb,
      group: apiGroup,
      resource,
      subresource,
      namespace,
      name,
      query: Object.fromEntries(searchParams),
      status: event.responseStatus?.code ?? 0,
      open: event.stage === "ResponseStarted",
    };
  });
}
