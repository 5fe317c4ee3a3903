import type { ArmContext, ArmOutcome, ArmRoute } from "./context.ts";
import type { Operation } from "../state/operation.ts";
import { timestamp } from "./compute-view.ts";
import { childNotFound } from "./errors.ts";
import { computeReply, emptyReply } from "./replies.ts";

type Headers = readonly (readonly [string, string])[];

const MINUTES_3 = 180_000;
const MINUTES_30 = 1_800_000;

/** How many requests the compute provider allows by window; only shown, as the real limits depend on its load. */
const ALLOWED = {
  "vm-write": [
    ["PutVM3Min", 240, MINUTES_3],
    ["PutVM30Min", 1200, MINUTES_30],
  ],
  "vm-read": [
    ["LowCostGet3Min", 4000, MINUTES_3],
    ["LowCostGet30Min", 32_000, MINUTES_30],
  ],
  "scale-set-write": [
    ["VMScaleSetActions3Min", 240, MINUTES_3],
    ["VMScaleSetActions30Min", 1200, MINUTES_30],
  ],
  "scale-set-read": [
    ["GetVMScaleSet3Min", 400, MINUTES_3],
    ["GetVMScaleSet30Min", 2600, MINUTES_30],
  ],
  list: [
    ["HighCostGet3Min", 160, MINUTES_3],
    ["HighCostGet30Min", 800, MINUTES_30],
  ],
  operation: [
    ["GetOperation3Min", 15_000, MINUTES_3],
    ["GetOperation30Min", 30_000, MINUTES_30],
  ],
} as const satisfies Record<string, readonly (readonly [string, number, number])[]>;

export function remainingHeaders(context: ArmContext, group: keyof typeof ALLOWED): Headers {
  const { subscriptionId = "" } = context.target;
  const parts = ALLOWED[group].map(([name, allowed, windowMs]) => {
    const left = context.throttle.remaining(`${name} ${subscriptionId}`, allowed, windowMs, context.now);
    return `Microsoft.Compute/${name};${left}`;
  });
  const queue = group === "scale-set-write" ? [...parts, "Microsoft.Compute/VmssQueuedVMOperations;0"] : parts;
  return [
    ["x-ms-ratelimit-remaining-resource", queue.join(",")],
    ...(group.startsWith("scale-set") ? ([["x-ms-request-charge", "0"]] as const) : []),
  ];
}

/** Where to follow an operation. Only what answers 202 has a `location` besides. */
export function operationHeaders(context: ArmContext, operation: Operation, o: { location?: boolean } = {}): Headers {
  const url = `https://${context.request.host}/subscriptions/${operation.subscriptionId}/providers/Microsoft.Compute/locations/${operation.location}/operations/${operation.id}?p=${operation.id}&api-version=${context.apiVersion}`;
  return [
    ["azure-asyncoperation", url],
    ...(o.location === true ? ([["location", `${url}&monitor=true`]] as const) : []),
  ];
}

/** Anybody who knows an operation's id may follow it. */
export const operationRoutes: readonly ArmRoute[] = [
  {
    method: "GET",
    type: "Microsoft.Compute/locations/operations",
    shape: "item",
    style: "compute",
    since: "2015-06-15",
    open: true,
    handle: poll,
  },
];

function poll(context: ArmContext): ArmOutcome {
  const id = context.target.names[1] ?? "";
  const operation = context.state.operations.get(id.toLowerCase());
  if (operation === undefined) return { error: childNotFound(`operations/${id}`) };
  const status = operation.status(context.now);
  const headers = remainingHeaders(context, "operation");
  if (context.request.query.get("monitor") === "true")
    return status === "InProgress"
      ? emptyReply(202, [...operationHeaders(context, operation, { location: true }), ...headers])
      : emptyReply(200, headers);
  const { failure } = operation;
  return computeReply(
    200,
    {
      startTime: timestamp(operation.startedAt),
      ...(status === "InProgress" ? {} : { endTime: timestamp(operation.finishesAt) }),
      status,
      ...(status === "InProgress" || failure === undefined
        ? {}
        : { error: { code: failure.code, message: failure.message } }),
      name: operation.id,
    },
    headers,
  );
}
