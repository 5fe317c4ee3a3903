import { KubeError, resourcePath, RESOURCES } from "@podid/kube";
import type { KubeRequest, KubeTransport } from "@podid/kube";
import type { Lifecycle } from "./lifecycle.ts";

const PLURAL = RESOURCES.azureIdentityBindings.plural;
const COLLECTION = resourcePath(RESOURCES.azureIdentityBindings);
const GROUP = COLLECTION.slice(0, -PLURAL.length);
/** Version of the list that is empty because podid is being uninstalled. */
const NOTHING = "0";
/** What makes a reflector forget its version and list again. */
const GONE = {
  type: "ERROR",
  object: { kind: "Status", status: "Failure", code: 410, reason: "Expired", message: "the phase of podid changed" },
};

/**
 * While podid is being uninstalled there are no bindings for whoever reads through this: everything that MIC attached is then
 * nobody's, and goes the way that it always goes. The objects themselves stay, for the day that podid comes back.
 */
export function drainableTransport(
  transport: KubeTransport,
  lifecycle: Pick<Lifecycle, "uninstalling" | "onChange">,
): KubeTransport {
  return {
    request: <T>(request: KubeRequest): Promise<T> => {
      if (!lifecycle.uninstalling || request.method !== "GET" || !isAboutBindings(request.path))
        return transport.request<T>(request);
      return request.path.endsWith(`/${PLURAL}`)
        ? Promise.resolve({ metadata: { resourceVersion: NOTHING }, items: [] } as T)
        : Promise.reject(
            new KubeError(`${request.path}: podid is being uninstalled`, { status: 404, reason: "NotFound" }),
          );
    },
    stream: (request) =>
      isAboutBindings(request.path) ? untilChange(transport, lifecycle, request) : transport.stream(request),
    close: () => transport.close(),
  };
}

function isAboutBindings(path: string): boolean {
  return path.startsWith(GROUP) && new RegExp(`/${PLURAL}(/[^/]+)?$`).test(path);
}

/** A watch that ends with 410 when the phase changes; a silent one while podid is being uninstalled. */
async function untilChange(
  transport: KubeTransport,
  lifecycle: Pick<Lifecycle, "uninstalling" | "onChange">,
  request: KubeRequest,
): Promise<AsyncIterable<unknown>> {
  const { signal } = request;
  const change = Promise.withResolvers<"changed" | "aborted">();
  const unsubscribe = lifecycle.onChange(() => change.resolve("changed"));
  // The phase may have changed between the list and this watch of what follows it.
  if ((request.query?.["resourceVersion"] === NOTHING) !== lifecycle.uninstalling) change.resolve("changed");
  const aborted = (): void => change.resolve("aborted");
  signal?.addEventListener("abort", aborted, { once: true });
  if (signal?.aborted) aborted();
  const release = (): void => {
    unsubscribe();
    signal?.removeEventListener("abort", aborted);
  };
  try {
    const events = lifecycle.uninstalling ? undefined : (await transport.stream(request))[Symbol.asyncIterator]();
    return (async function* () {
      try {
        for (;;) {
          const next = await Promise.race([change.promise, ...(events === undefined ? [] : [events.next()])]);
          if (next === "changed") yield GONE;
          if (typeof next === "string" || next.done === true) return;
          yield next.value;
        }
      } finally {
        release();
        // Not awaited: a read that hangs would keep it.
        void events?.return?.().catch(() => undefined);
      }
    })();
  } catch (error) {
    release();
    throw error;
  }
}
