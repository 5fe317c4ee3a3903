import { durationFlag, parseCommandLine, stringFlag } from "@podid/service";

const WITHOUT_ID = "00000000-0000-0000-0000-000000000000";

/** Upstream's quick start knows two generations of names; both stay. */
export const FLAGS = {
  "subscription-id": stringFlag({ default: "", help: "Subscription whose virtual machines are listed." }),
  subscriptionid: stringFlag({ default: "", help: "Older name of --subscription-id." }),
  "resource-group": stringFlag({ default: "", help: "Resource group whose virtual machines are listed." }),
  resourcegroup: stringFlag({ default: "", help: "Older name of --resource-group." }),
  "identity-client-id": stringFlag({ default: "", help: "Client id of the identity to use." }),
  clientid: stringFlag({ default: "", help: "Older name of --identity-client-id." }),
  "resource-name": stringFlag({
    default: "https://management.azure.com/",
    help: "Resource (audience) that the two tokens are asked for.",
  }),
  "arm-endpoint": stringFlag({
    default: "https://management.azure.com",
    help: "Azure Resource Manager of the cloud, which is its audience as well.",
  }),
  period: durationFlag({
    default: 100_000,
    help: "Pause between two rounds. 0: one round, then exit with 0 if all of it succeeded, else with 1.",
  }),
} as const;

export interface DemoOptions {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly clientId: string;
  readonly resource: string;
  readonly armEndpoint: string;
  /** 0: once. */
  readonly periodMs: number;
}

export type ParsedOptions =
  | { readonly ok: true; readonly options: DemoOptions }
  | { readonly ok: false; readonly errors: readonly string[] };

type Values = Extract<ReturnType<typeof parse>, { ok: true }>["commandLine"]["values"];

function parse(argv: readonly string[]) {
  return parseCommandLine(FLAGS, { argv, env: {} });
}

/** Reads the demo's arguments; reports every mistake at once. */
export function parseOptions(argv: readonly string[]): ParsedOptions {
  const parsed = parse(argv);
  if (!parsed.ok) return parsed;
  const { values, positional } = parsed.commandLine;
  const errors = positional.map((argument) => `${JSON.stringify(argument)}: the demo takes flags only; see --help`);

  const subscriptionId = either(values, "subscription-id", "subscriptionid", errors);
  const resourceGroup = either(values, "resource-group", "resourcegroup", errors);
  const clientId = either(values, "identity-client-id", "clientid", errors);
  requireGuid("--subscription-id", subscriptionId, errors);
  requireGuid("--identity-client-id", clientId, errors);
  const armEndpoint = httpsOrigin(values["arm-endpoint"]);
  if (armEndpoint === undefined) {
    errors.push(
      `--arm-endpoint: ${JSON.stringify(values["arm-endpoint"])} is not valid; give an https URL without path`,
    );
  }
  if (values["resource-name"] === "") {
    errors.push(`--resource-name: "" is not valid; give the audience of the tokens, such as https://vault.azure.net`);
  }
  if (errors.length > 0) return { ok: false, errors };

  return {
    ok: true,
    options: {
      subscriptionId,
      resourceGroup,
      clientId,
      resource: values["resource-name"],
      armEndpoint: armEndpoint ?? "",
      periodMs: values.period,
    },
  };
}

function either(values: Values, name: keyof Values, older: keyof Values, errors: string[]): string {
  const value = String(values[name]);
  const olderValue = String(values[older]);
  if (value === "" && olderValue === "") errors.push(`--${name}: is missing; give --${name} or --${older}`);
  if (value !== "" && olderValue !== "" && value !== olderValue) {
    errors.push(
      `--${name} and --${older}: ${JSON.stringify(value)} and ${JSON.stringify(olderValue)} differ; give one of them`,
    );
  }
  return value === "" ? olderValue : value;
}

function requireGuid(flag: string, value: string, errors: string[]): void {
  if (value !== "" && !/^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i.test(value)) {
    errors.push(`${flag}: ${JSON.stringify(value)} is not valid; give a GUID such as ${WITHOUT_ID}`);
  }
}

/** The SDK refuses to send a token over anything but https, only much later. */
function httpsOrigin(text: string): string | undefined {
  const url = URL.parse(text);
  return url?.protocol === "https:" && url.pathname === "/" && url.search === "" ? url.origin : undefined;
}
