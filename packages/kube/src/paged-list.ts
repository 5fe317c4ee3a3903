import { KubeError } from "./kube-error.ts";
import type { KubeObject } from "./kube-object.ts";
import type { ListOptions, ResourceClient } from "./resource-client.ts";

/** Big pages of big objects over a slow link. */
const PAGE_TIMEOUT_MS = 60_000;
/** A continue token lives as long as etcd's history (5 minutes): a second loss means that this list is too slow for now. */
const RESTARTS = 2;

export interface PagedListOptions extends ListOptions {
  /** 0: everything at once. */
  readonly pageSize: number;
  /** Called before the first page, also of a restarted list. */
  readonly begin: () => void;
  readonly onObject: (object: KubeObject) => void;
}

/**
 * Lists everything, page by page, and returns the version to watch from.
 * A page whose continue token expired (410) starts the list again. Rejects with {@link KubeError}.
 */
export async function listInto(client: ResourceClient, options: PagedListOptions): Promise<string> {
  const { pageSize, onObject, begin, ...scope } = options;
  for (let restarts = 0; ; restarts++) {
    begin();
    try {
      return await listOnce(client, scope, pageSize, onObject);
    } catch (error) {
      if (!KubeError.is(error, 410) || restarts >= RESTARTS) throw error;
    }
  }
}

async function listOnce(
  client: ResourceClient,
  scope: ListOptions,
  pageSize: number,
  onObject: (object: KubeObject) => void,
): Promise<string> {
  let version: string | undefined;
  let token: string | undefined;
  do {
    const page = await client.list({
      timeoutMs: PAGE_TIMEOUT_MS,
      ...scope,
      limit: pageSize || undefined,
      continue: token,
    });
    for (const object of page.items) onObject(object);
    // All pages show the first one's state; that is where the watch has to start.
    version ??= page.metadata.resourceVersion;
    token = page.metadata.continue || undefined;
  } while (token !== undefined);
  if (!version)
    throw new KubeError(`${client.resource.plural}: the list has no resourceVersion to watch from`, {
      status: 0,
      reason: "MalformedAnswer",
    });
  return version;
}
