import { bindingRecord, identityRecord } from "./object-records.ts";
import { podRecord } from "./pod-record.ts";
import type { BindingRecord, ExceptionRecord, IdentityRecord, PodRecord } from "./records.ts";

// Test material, in the words of the scenarios.

/** Resource id of the identity `name`. */
export function rid(name: string): string {
  return `/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups/rg/providers/Microsoft.ManagedIdentity/userAssignedIdentities/${name}`;
}

export function splitName(path: string): { namespace: string; name: string } {
  const [namespace = "", name = ""] = path.split("/");
  return { namespace, name };
}

/** A running pod; its UID is `uid-<namespace>/<name>` unless said. */
export function pod(path: string, label: string | undefined, more: Partial<PodRecord> = {}): PodRecord {
  const record = podRecord({
    metadata: { ...splitName(path), uid: `uid-${path}`, labels: label === undefined ? {} : { aadpodidbinding: label } },
    spec: { nodeName: "test-node", serviceAccountName: "default" },
    status: { phase: "Running", podIP: "10.0.0.5" },
  });
  return { ...need(record), ...more };
}

export function binding(
  path: string,
  azureIdentity: string,
  selector: string,
  more: Partial<BindingRecord> = {},
): BindingRecord {
  const metadata = { ...splitName(path), uid: `uid-${path}`, resourceVersion: "1" };
  return { ...need(bindingRecord({ metadata, spec: { azureIdentity, selector } })), ...more };
}

export interface IdentityOptions {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly uid?: string;
  readonly resourceVersion?: string;
}

/** A usable identity of type 0, unless the options say otherwise. */
export function identity(
  path: string,
  { spec = {}, annotations = {}, ...metadata }: IdentityOptions = {},
): IdentityRecord {
  const { name } = splitName(path);
  return need(
    identityRecord({
      metadata: { ...splitName(path), uid: `uid-${path}`, resourceVersion: "1", annotations, ...metadata },
      spec: { type: 0, resourceID: rid(name), clientID: `client-${name}`, ...spec },
    }),
  );
}

export const NAMESPACED = { "aadpodidentity.k8s.io/Behavior": "namespaced" };

export function exception(path: string, podLabels: Readonly<Record<string, string>>): ExceptionRecord {
  return { ...splitName(path), podLabels };
}

function need<T>(record: T | undefined): T {
  if (record === undefined) throw new Error("the fixture makes no record");
  return record;
}
