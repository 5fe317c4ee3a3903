import type { ExceptionRecord, PodRecord } from "./records.ts";

/**
 * Whether an exception is meant for a pod: same namespace, and the pod carries any one of its labels, whose value is compared
 * without regard to casing.
 */
export function isExceptedBy(pod: PodRecord, exception: ExceptionRecord): boolean {
  if (pod.namespace !== exception.namespace) return false;
  return Object.entries(exception.podLabels).some(
    ([key, value]) => Object.hasOwn(pod.labels, key) && pod.labels[key]?.toLowerCase() === value.toLowerCase(),
  );
}

/** Exceptions by namespace, since they only matter there. */
export class ExceptionIndex {
  readonly #byNamespace = new Map<string, Map<string, ExceptionRecord>>();

  upsert(exception: ExceptionRecord): void {
    const local = this.#byNamespace.get(exception.namespace) ?? new Map<string, ExceptionRecord>();
    this.#byNamespace.set(exception.namespace, local.set(exception.name, exception));
  }

  delete(namespace: string, name: string): void {
    const local = this.#byNamespace.get(namespace);
    if (local?.delete(name) === true && local.size === 0) this.#byNamespace.delete(namespace);
  }

  /** The exceptions that are meant for a pod, by name. */
  of(pod: PodRecord): ExceptionRecord[] {
    const local = this.#byNamespace.get(pod.namespace);
    if (local === undefined) return [];
    return [...local.values()]
      .filter((exception) => isExceptedBy(pod, exception))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}
