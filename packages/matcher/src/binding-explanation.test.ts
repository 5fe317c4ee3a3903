import { expect, test } from "vitest";
import { binding, identity, NAMESPACED, pod } from "./fixtures.ts";
import { Matcher } from "./matcher.ts";

function told(matcher: Matcher, path: string) {
  const [namespace = "", name = ""] = path.split("/");
  const found = matcher.explainBinding(namespace, name);
  return (
    found && {
      identity: found.identity?.name,
      selected: found.selected,
      denied: found.denied.map(({ denial: { reason }, pods }) => `${reason} ${pods}`),
      nearMisses: found.nearMisses,
    }
  );
}

test("an unknown binding has no explanation", () => {
  expect(new Matcher().explainBinding("a", "b")).toBeUndefined();
});

test("pods that get it, pods that get another identity of that name, pods of other namespaces and ServiceAccounts", () => {
  const matcher = new Matcher();
  matcher.upsertIdentity(identity("ns1/id"));
  matcher.upsertIdentity(identity("ns2/id"));
  matcher.upsertIdentity(identity("ns2/own", { annotations: NAMESPACED }));
  matcher.upsertIdentity(identity("ns2/narrow", { spec: { serviceAccounts: ["builder"] } }));
  matcher.upsertBinding(binding("ns1/b", "id", "sel"));
  matcher.upsertBinding(binding("ns2/b", "id", "sel"));
  matcher.upsertBinding(binding("ns2/own", "own", "sel"));
  matcher.upsertBinding(binding("ns2/narrow", "narrow", "sel"));
  matcher.upsertBinding(binding("ns2/dangling", "nothing", "sel"));
  for (const path of ["ns1/p", "ns1/q", "ns2/p"]) matcher.upsertPod(pod(path, "sel"));
  expect(told(matcher, "ns1/b")).toEqual({ identity: "id", selected: 3, denied: [], nearMisses: [] });
  expect(told(matcher, "ns2/b")).toMatchObject({ selected: 3, denied: ["duplicate-identity-name 3"] });
  expect(told(matcher, "ns2/own")).toMatchObject({ denied: ["other-namespace 2"] });
  expect(told(matcher, "ns2/narrow")).toMatchObject({ denied: ["service-account-not-allowed 3"] });
  expect(told(matcher, "ns2/dangling")).toMatchObject({ identity: undefined, denied: ["identity-missing 3"] });
});

test("labels that differ only in casing or blanks are near misses, as long as a pod carries them", () => {
  const matcher = new Matcher();
  matcher.upsertIdentity(identity("ns1/id"));
  matcher.upsertBinding(binding("ns1/b", "id", "Demo "));
  matcher.upsertBinding(binding("ns1/empty", "id", ""));
  matcher.upsertPod(pod("ns1/p", "demo"));
  matcher.upsertPod(pod("ns1/q", "DEMO"));
  expect(told(matcher, "ns1/b")).toMatchObject({ selected: 0, nearMisses: ["DEMO", "demo"] });
  expect(told(matcher, "ns1/empty")).toMatchObject({ selected: 0, nearMisses: [] });
  matcher.deletePod("uid-ns1/q");
  matcher.upsertPod(pod("ns1/p", "Demo "));
  expect(told(matcher, "ns1/b")).toMatchObject({ selected: 1, nearMisses: [] });
});
