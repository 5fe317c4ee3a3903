import type { Clock, Refused, Unavailable } from "@podid/imds-proxy";
import { KubeError } from "@podid/kube";
import type { KubeObject } from "@podid/kube";

/** One edition of a Secret. */
export interface SecretVersion {
  readonly kind: "secret";
  readonly namespace: string;
  readonly name: string;
  /** UID and resource version: what tells editions apart. */
  readonly version: string;
  readonly data: ReadonlyMap<string, Buffer>;
}

export type SecretResult = SecretVersion | Refused | Unavailable;

export interface SecretReaderOptions {
  readonly get: (name: string, namespace: string) => Promise<KubeObject>;
  readonly clock: Clock;
}

/** Known for so long without another look. */
const FRESH_MS = 30_000;
/** Then used, while it is read again behind the caller's back. */
const USABLE_MS = 60_000;
/** While the API server does not answer, an edition is used that was true this long ago. */
const WITHOUT_SERVER_MS = 60 * 60_000;
const REFUSED_FOR_MS = 2_000;
const MOST = 500;

/**
 * Reads Secrets one at a time by name, which needs no right to list them, and remembers them for half a minute. They are
 * in this process's memory only.
 */
export class SecretReader {
  readonly #options: SecretReaderOptions;
  readonly #known = new Map<string, { readonly result: SecretVersion | Refused; readonly readMs: number }>();
  readonly #reading = new Map<string, Promise<SecretResult>>();

  constructor(options: SecretReaderOptions) {
    this.#options = options;
  }

  /** What is known of it without waiting; may start to read it again. */
  known(namespace: string, name: string): SecretVersion | undefined {
    const key = `${namespace}/${name}`;
    const entry = this.#known.get(key);
    if (entry?.result.kind !== "secret") return undefined;
    const ageMs = this.#options.clock.monotonicMs() - entry.readMs;
    if (ageMs >= USABLE_MS) return undefined;
    if (ageMs >= FRESH_MS) void this.#read(namespace, name);
    return entry.result;
  }

  async get(namespace: string, name: string): Promise<SecretResult> {
    const known = this.known(namespace, name);
    if (known !== undefined) return known;
    const entry = this.#known.get(`${namespace}/${name}`);
    const justRefused =
      entry?.result.kind === "refused" && this.#options.clock.monotonicMs() - entry.readMs < REFUSED_FOR_MS;
    return justRefused ? entry.result : this.#read(namespace, name);
  }

  #read(namespace: string, name: string): Promise<SecretResult> {
    const key = `${namespace}/${name}`;
    const running = this.#reading.get(key);
    if (running !== undefined) return running;
    const reading = this.#readNow(namespace, name).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  async #readNow(namespace: string, name: string): Promise<SecretResult> {
    const key = `${namespace}/${name}`;
    const { clock } = this.#options;
    const before = this.#known.get(key);
    let result: SecretVersion | Refused;
    try {
      result = secretVersion(await this.#options.get(name, namespace));
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      const refused = refusal(error, namespace, name);
      if (refused === undefined) {
        const usable = before?.result.kind === "secret" && clock.monotonicMs() - before.readMs < WITHOUT_SERVER_MS;
        if (usable) return before.result;
        return { kind: "unavailable", message: `Secret ${key} cannot be read: ${error.message}` };
      }
      result = refused;
    }
    const unchanged =
      result.kind === "secret" && before?.result.kind === "secret" && before.result.version === result.version;
    // The same object for the same edition, so that what was made of it is kept.
    const kept = unchanged ? before.result : result;
    this.#known.delete(key);
    this.#known.set(key, { result: kept, readMs: clock.monotonicMs() });
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= MOST) break;
      this.#known.delete(oldest);
    }
    return kept;
  }
}

function secretVersion(object: KubeObject): SecretVersion {
  const { name, namespace = "", uid = "", resourceVersion = "" } = object.metadata;
  const data = (object["data"] ?? {}) as Readonly<Record<string, unknown>>;
  const values = Object.entries(data).flatMap(([key, value]): [string, Buffer][] =>
    typeof value === "string" ? [[key, Buffer.from(value, "base64")]] : [],
  );
  return { kind: "secret", namespace, name, version: `${uid}/${resourceVersion}`, data: new Map(values) };
}

function refusal(error: KubeError, namespace: string, name: string): Refused | undefined {
  if (error.status === 404) {
    const message = `Secret ${namespace}/${name} does not exist; create it, or correct spec.clientPassword`;
    return { kind: "refused", reason: "secret-missing", message };
  }
  if (error.status === 403 || error.status === 401) {
    const message =
      `NMI may not read Secret ${namespace}/${name}: its ServiceAccount needs a Role in namespace ${namespace} with the verb get ` +
      `on secrets, resourceNames [${name}]; with the chart: rbac.secrets: [{namespace: ${namespace}, names: [${name}]}]`;
    return { kind: "refused", reason: "secret-forbidden", message };
  }
  return undefined;
}
