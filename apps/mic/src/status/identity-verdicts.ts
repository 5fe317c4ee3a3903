import { IDENTITY_TYPE, TOKEN_EXCHANGE_AUDIENCE } from "@podid/crd-types";
import type { IdentityRecord } from "@podid/matcher";
import type { Verdict } from "./conditions.ts";
import type { BindingSummary } from "./scope-summary.ts";

export interface IdentityInput {
  readonly identity: IdentityRecord;
  readonly summary: BindingSummary;
  /** Whether any AzureIdentityBinding names it. */
  readonly isBound: boolean;
  /** The id by which it names an identity of the cluster itself or of the list of immutable ones. */
  readonly protectedAs: string | undefined;
  /** Of the cluster's ServiceAccount tokens; undefined when MIC does not know it. */
  readonly issuer: string | undefined;
}

/** Why an identity is not, or not fully, what its author wanted. */
export type Finding = Omit<Verdict, "type">;

type Check = (input: IdentityInput) => Finding | undefined;

function no(reason: string, message: string): Finding {
  return { status: "False", reason, message };
}

/** What is wrong with the object itself. */
const FLAWS: readonly Check[] = [
  ({ identity: { problem, spec, resourceKey } }) => {
    if (problem === undefined) return undefined;
    switch (spec.type ?? IDENTITY_TYPE.userAssigned) {
      case IDENTITY_TYPE.userAssigned:
        return no(resourceKey === undefined ? "InvalidResourceID" : "InvalidSpec", problem);
      case IDENTITY_TYPE.clientSecret:
      case IDENTITY_TYPE.certificate:
        return no("InvalidSpec", problem);
      case IDENTITY_TYPE.federated:
        if (!spec.tenantID) return no("TenantIDMissing", problem);
        return no(spec.clientID ? "InvalidSpec" : "ClientIDMissing", problem);
      default:
        return no("UnsupportedType", problem);
    }
  },
  ({ identity: { spec } }) => {
    if (spec.type !== IDENTITY_TYPE.clientSecret && spec.type !== IDENTITY_TYPE.certificate) return undefined;
    const type = `an identity of type ${spec.type}`;
    if (!spec.clientID)
      return no("ClientIDMissing", `spec.clientID is empty: ${type} needs the client id of its application`);
    if (!spec.tenantID)
      return no("TenantIDMissing", `spec.tenantID is empty: ${type} needs the tenant of its application`);
    if (spec.clientPassword?.name) return undefined;
    return no("SecretMissing", `spec.clientPassword.name is empty: ${type} needs the Secret of its credential`);
  },
  ({ summary: { mismatch } }) =>
    mismatch === undefined ? undefined : no("ClientIDMismatch", `${mismatch}. NMI gives no pod its tokens`),
];

/** What is wrong with the object itself, apart from any pod; undefined when nothing is. */
export function identityFlaw(input: IdentityInput): Finding | undefined {
  return firstFinding(FLAWS, input);
}

const PROGRESS: readonly Check[] = [
  ({ summary: { failure, failed } }) =>
    failure === undefined || failed === 0 ? undefined : no(failure.reason, failure.message),
  ({ summary: { matched, assigned } }) =>
    assigned < matched ? no("Assigning", `assigned for ${assigned} of ${matched} pods`) : undefined,
];

function settled({ identity: { spec }, summary: { matched }, isBound, protectedAs }: IdentityInput): Finding {
  const yes = (reason: string, message: string): Finding => ({ status: "True", reason, message });
  const type = spec.type ?? IDENTITY_TYPE.userAssigned;
  if (type === IDENTITY_TYPE.userAssigned && !spec.clientID) {
    return yes(
      "ClientIDUnknown",
      "spec.clientID is empty: pods get its tokens by default or by resource id, not by client id",
    );
  }
  if (!isBound) return yes("NotBound", "no AzureIdentityBinding of its namespace names it");
  if (matched === 0) return yes("NoPods", "no pod is given it");
  if (protectedAs !== undefined && type === IDENTITY_TYPE.userAssigned) {
    return yes(
      "NeverDetached",
      `assigned for ${matched} pods; it is on MIC's list of identities that are never detached`,
    );
  }
  return yes("Assigned", `assigned for ${matched} pods`);
}

/** The conditions of an AzureIdentity: the first check that finds something decides. */
export function identityVerdicts(input: IdentityInput): Verdict[] {
  const found = identityFlaw(input) ?? firstFinding(PROGRESS, input) ?? settled(input);
  const ready: Verdict = { type: "Ready", ...found };
  const verdicts = input.identity.spec.type === IDENTITY_TYPE.federated ? [ready, federation(input)] : [ready];
  return input.protectedAs === undefined ? verdicts : [...verdicts, allowedToPods(input.protectedAs)];
}

/** Which namespaces NMI lets have it, MIC does not know. */
function allowedToPods(id: string): Verdict {
  return {
    type: "AllowedToPods",
    status: "Unknown",
    reason: "NodeIdentity",
    message: `${id} is an identity of the cluster itself (cluster, kubelet or immutable): NMI refuses pods its tokens except in namespaces of --allow-node-identities; use an identity of its own`,
  };
}

const MOST_SUBJECTS = 10;

/** MIC cannot see whether the credential exists in Entra; what has to be entered there it can tell. */
function federation({ identity: { spec }, summary: { serviceAccounts }, issuer }: IdentityInput): Verdict {
  const condition = { type: "FederatedCredential", status: "Unknown" } as const;
  const from = issuer ?? "the cluster's (kubectl get --raw /.well-known/openid-configuration)";
  const what = `issuer ${from}, audience ${TOKEN_EXCHANGE_AUDIENCE}`;
  const application = `application ${spec.clientID}`;
  if (serviceAccounts.size === 0) {
    const message = `${application} needs a federated credential with ${what} for each ServiceAccount whose pods are given this identity; there is none yet`;
    return { ...condition, reason: "NoServiceAccounts", message };
  }
  const subjects = [...serviceAccounts].sort().map((name) => `system:serviceaccount:${name.replace("/", ":")}`);
  const more = subjects.length > MOST_SUBJECTS ? ` and ${subjects.length - MOST_SUBJECTS} more` : "";
  const needed = `${application} needs federated credentials with ${what}, subjects ${subjects.slice(0, MOST_SUBJECTS).join(", ")}${more}`;
  const unnamed = [...serviceAccounts].filter((name) => name.endsWith("/default"));
  if (unnamed.length === 0) return { ...condition, reason: "SubjectsNeeded", message: needed };
  const namespaces = unnamed.map((name) => name.slice(0, name.indexOf("/"))).sort();
  return {
    ...condition,
    reason: "DefaultServiceAccount",
    message: `every pod of namespace ${namespaces.join(", ")} that names no ServiceAccount could use this identity: give its pods one of their own. ${needed}`,
  };
}

function firstFinding(checks: readonly Check[], input: IdentityInput): Finding | undefined {
  for (const check of checks) {
    const found = check(input);
    if (found !== undefined) return found;
  }
  return undefined;
}
