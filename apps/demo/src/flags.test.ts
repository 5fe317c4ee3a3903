import { describe, expect, test } from "vitest";
import { parseOptions } from "./flags.ts";

const SUBSCRIPTION = "00000000-0000-0000-0000-000000000001";
const CLIENT = "00000000-0000-0000-0000-00000000c1d1";

const EXPECTED = {
  subscriptionId: SUBSCRIPTION,
  resourceGroup: "rg",
  clientId: CLIENT,
  resource: "https://management.azure.com/",
  armEndpoint: "https://management.azure.com",
  periodMs: 100_000,
};

describe("the forms of the quick start", () => {
  test.for<{ name: string; argv: string[]; want: Partial<typeof EXPECTED> }>([
    {
      name: "deployment",
      argv: [`--subscriptionid=${SUBSCRIPTION}`, `--clientid=${CLIENT}`, "--resourcegroup=rg"],
      want: {},
    },
    {
      name: "pod, with a period and a resource",
      argv: [
        `--subscription-id=${SUBSCRIPTION}`,
        "--resource-group=rg",
        `--identity-client-id=${CLIENT}`,
        "--resource-name=https://vault.azure.net",
        "--period=15s",
      ],
      want: { resource: "https://vault.azure.net", periodMs: 15_000 },
    },
    {
      name: "Go style, value in the next argument",
      argv: ["-subscriptionid", SUBSCRIPTION, "-clientid", CLIENT, "-resourcegroup", "rg", "-period", "0"],
      want: { periodMs: 0 },
    },
    {
      name: "another cloud",
      argv: [
        `--subscriptionid=${SUBSCRIPTION}`,
        `--clientid=${CLIENT}`,
        "--resourcegroup=rg",
        "--arm-endpoint=https://management.usgovcloudapi.net/",
      ],
      want: { armEndpoint: "https://management.usgovcloudapi.net" },
    },
  ])("$name", ({ argv, want }) => {
    expect(parseOptions(argv)).toEqual({ ok: true, options: { ...EXPECTED, ...want } });
  });
});

test("every mistake is reported at once, with the value and the fix", () => {
  expect(
    parseOptions([
      "--subscription-id=mine",
      "--clientid=a",
      "--identity-client-id=b",
      "--arm-endpoint=http://arm",
      "once",
    ]),
  ).toEqual({
    ok: false,
    errors: [
      `"once": the demo takes flags only; see --help`,
      "--resource-group: is missing; give --resource-group or --resourcegroup",
      `--identity-client-id and --clientid: "b" and "a" differ; give one of them`,
      `--subscription-id: "mine" is not valid; give a GUID such as 00000000-0000-0000-0000-000000000000`,
      `--identity-client-id: "b" is not valid; give a GUID such as 00000000-0000-0000-0000-000000000000`,
      `--arm-endpoint: "http://arm" is not valid; give an https URL without path`,
    ],
  });
});
