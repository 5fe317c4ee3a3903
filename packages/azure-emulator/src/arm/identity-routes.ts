import type { JsonObject } from "../json.ts";
import { isJsonObject, objectOf, stringOf, textOf } from "../json.ts";
import type { FederatedCredential } from "../state/directory.ts";
import type { UserAssignedIdentity } from "../state/identity-store.ts";
import { armKey, identityResourceId } from "../state/resource-id.ts";
import { isWithin } from "../state/roles.ts";
import type { ArmContext, ArmOutcome, ArmRoute } from "./context.ts";
import {
  childNotFound,
  credentialExists,
  invalidRequestContent,
  locationRequired,
  resourceNotFound,
} from "./errors.ts";
import { armReply, emptyReply } from "./replies.ts";

const TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities";
const CREDENTIALS = `${TYPE}/federatedIdentityCredentials`;
const identities = { type: TYPE, style: "arm", since: "2015-08-31-preview" } as const;
const credentials = { type: CREDENTIALS, style: "arm", since: "2022-01-31-preview" } as const;

export const identityRoutes: readonly ArmRoute[] = [
  { ...identities, method: "GET", shape: "item", handle: read },
  { ...identities, method: "GET", shape: "list", handle: list },
  { ...identities, method: "PUT", shape: "item", handle: put },
  { ...identities, method: "PATCH", shape: "item", handle: patch },
  { ...identities, method: "DELETE", shape: "item", handle: remove },
  { ...credentials, method: "GET", shape: "item", handle: readCredential },
  { ...credentials, method: "GET", shape: "list", handle: listCredentials },
  { ...credentials, method: "PUT", shape: "item", handle: putCredential },
  { ...credentials, method: "DELETE", shape: "item", handle: removeCredential },
  {
    method: "GET",
    type: "Microsoft.ManagedIdentity/identities",
    shape: "item",
    style: "arm",
    since: "2018-11-30",
    handle: readSystemAssigned,
  },
];

function view(identity: UserAssignedIdentity): JsonObject {
  const { objectId, clientId, tenantId } = identity.principal;
  return {
    location: identity.location,
    tags: identity.tags,
    id: identity.id,
    name: identity.name,
    type: TYPE,
    properties: { isolationScope: "None", tenantId, principalId: objectId, clientId },
  };
}

function idOf(context: ArmContext): string {
  const { subscriptionId = "", resourceGroup = "", names } = context.target;
  return identityResourceId(subscriptionId, resourceGroup, names[0] ?? "");
}

function find(context: ArmContext): UserAssignedIdentity | undefined {
  return context.state.identities.get(armKey(idOf(context)));
}

function missing(context: ArmContext): ArmOutcome {
  return { error: resourceNotFound(TYPE, context.target.names[0] ?? "", context.target.resourceGroup ?? "") };
}

function read(context: ArmContext): ArmOutcome {
  const identity = find(context);
  return identity === undefined ? missing(context) : armReply(200, view(identity));
}

function list(context: ArmContext): ArmOutcome {
  const value = context.state.identities.list().filter((identity) => isWithin(identity.id, context.target.id));
  return armReply(200, { value: value.map(view) });
}

function put(context: ArmContext): ArmOutcome {
  const input = body(context);
  const location = stringOf(input?.["location"]);
  if (input === undefined) return { error: invalidRequestContent("The body is no JSON object.") };
  if (location === undefined) return { error: locationRequired() };
  const present = find(context);
  if (present !== undefined) {
    present.location = location;
    present.tags = tagsOf(input);
    return armReply(200, view(present));
  }
  const identity = context.state.addIdentity({ id: idOf(context), location, tags: tagsOf(input) });
  return armReply(201, view(identity), [["location", identity.id]]);
}

function patch(context: ArmContext): ArmOutcome {
  const identity = find(context);
  if (identity === undefined) return missing(context);
  const input = body(context);
  if (isJsonObject(input?.["tags"])) identity.tags = tagsOf(input ?? {});
  return armReply(200, view(identity));
}

function remove(context: ArmContext): ArmOutcome {
  return emptyReply(context.state.deleteIdentity(idOf(context)) ? 200 : 204);
}

function credentialView(identity: UserAssignedIdentity, credential: FederatedCredential): JsonObject {
  const { name, issuer, subject, audiences } = credential;
  return {
    id: `${identity.id}/federatedIdentityCredentials/${name}`,
    name,
    type: CREDENTIALS,
    properties: { issuer, subject, audiences },
  };
}

function readCredential(context: ArmContext): ArmOutcome {
  const identity = find(context);
  if (identity === undefined) return missing(context);
  const name = context.target.names[1] ?? "";
  const credential = identity.federatedCredentials.get(name.toLowerCase());
  return credential === undefined
    ? { error: childNotFound(name) }
    : armReply(200, credentialView(identity, credential));
}

function listCredentials(context: ArmContext): ArmOutcome {
  const identity = find(context);
  if (identity === undefined) return missing(context);
  return armReply(200, {
    value: [...identity.federatedCredentials.values()].map((credential) => credentialView(identity, credential)),
  });
}

function putCredential(context: ArmContext): ArmOutcome {
  const identity = find(context);
  if (identity === undefined) return missing(context);
  const properties = objectOf(body(context)?.["properties"]);
  const issuer = stringOf(properties["issuer"]);
  const subject = stringOf(properties["subject"]);
  const audiences = Array.isArray(properties["audiences"]) ? properties["audiences"].map(String) : [];
  if (issuer === undefined || subject === undefined || audiences.length === 0)
    return {
      error: invalidRequestContent(
        "Required properties 'issuer', 'subject' and 'audiences' not found in JSON. Path 'properties'.",
      ),
    };
  const name = context.target.names[1] ?? "";
  const others = [...identity.federatedCredentials.values()].filter(
    (other) => other.name.toLowerCase() !== name.toLowerCase(),
  );
  if (others.some((other) => other.issuer === issuer && other.subject === subject))
    return { error: credentialExists() };
  const present = identity.federatedCredentials.get(name.toLowerCase());
  const credential = { name: present?.name ?? name, issuer, subject, audiences, createdAt: context.now };
  identity.federatedCredentials.set(name.toLowerCase(), credential);
  return armReply(present === undefined ? 201 : 200, credentialView(identity, credential));
}

function removeCredential(context: ArmContext): ArmOutcome {
  const identity = find(context);
  if (identity === undefined) return missing(context);
  return emptyReply(identity.federatedCredentials.delete((context.target.names[1] ?? "").toLowerCase()) ? 200 : 204);
}

/** The system-assigned identity of the machine that the path hangs on. */
function readSystemAssigned(context: ArmContext): ArmOutcome {
  const { scope } = context.target;
  const machine = context.state.machineResource(scope);
  const system = machine?.identity.system;
  if (machine === undefined || system === undefined)
    return { error: childNotFound(`${scope}/providers/Microsoft.ManagedIdentity/identities/default`) };
  return armReply(200, {
    id: `${machine.id}/providers/Microsoft.ManagedIdentity/identities/default`,
    name: "default",
    type: "Microsoft.ManagedIdentity/identities",
    location: machine.body.location,
    properties: { tenantId: system.tenantId, principalId: system.objectId, clientId: system.clientId },
  });
}

function body(context: ArmContext): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(context.request.body === "" ? "{}" : context.request.body);
    return isJsonObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function tagsOf(input: JsonObject): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(objectOf(input["tags"])).map(([name, value]) => [name, textOf(value)]));
}
