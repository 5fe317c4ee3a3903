import { digest } from "./digest.ts";

/** Whom an AzureAssignedIdentity is for. */
export interface AssignedIdentityParts {
  readonly podName: string;
  readonly podNamespace: string;
  readonly podUid: string;
  readonly identityNamespace: string;
  readonly identityName: string;
}

/** Longest name of an object that Kubernetes accepts (DNS-1123 subdomain). */
const LONGEST_NAME = 253;

/**
 * Name for a new AzureAssignedIdentity: aad-pod-identity's `<pod>-<podNamespace>-<identity>`, with a suffix only where that is
 * longer than Kubernetes allows or where `isTaken` says that another live object of another pod or identity has it. The name is
 * given once, at creation: look objects up by pod UID and identity, never by computing the name again.
 */
export function assignedIdentityName(parts: AssignedIdentityParts, isTaken: (name: string) => boolean): string {
  const plain = `${parts.podName}-${parts.podNamespace}-${parts.identityName}`;
  if (plain.length <= LONGEST_NAME && !isTaken(plain)) return plain;
  const whom = [parts.podUid, parts.podNamespace, parts.podName, parts.identityNamespace, parts.identityName];
  for (let attempt = 0; ; attempt += 1) {
    const name = shortened(plain, digest(JSON.stringify([...whom, attempt])), LONGEST_NAME);
    if (!isTaken(name)) return name;
  }
}

/** Longest value of a label that Kubernetes accepts. */
const LONGEST_LABEL_VALUE = 63;

/** Value of the label `nodename` for a node: its name, or where that is longer than a label may be, its beginning and a digest. */
export function nodeLabelValue(nodeName: string): string {
  if (nodeName.length <= LONGEST_LABEL_VALUE) return nodeName;
  return shortened(nodeName, digest(nodeName), LONGEST_LABEL_VALUE);
}

/** `text` and the suffix joined by a dash within `longest` characters; what is cut must not leave a `.` or `-` before the dash. */
function shortened(text: string, suffix: string, longest: number): string {
  return `${text.slice(0, longest - suffix.length - 1).replace(/[^a-zA-Z0-9]+$/, "")}-${suffix}`;
}
