import fc from "fast-check";
import { expect, test } from "vitest";
import { desiredAbsence, desiredRules, type DesiredRules } from "./desired-rules.ts";
import { FakeIptables } from "./fake-iptables.ts";
import { planRestore } from "./restore-plan.ts";
import { parseRule } from "./rule.ts";
import { parseSave, type SavedRules } from "./saved-rules.ts";

const options = { metadataIp: "169.254.169.254", metadataPort: 80, targetIp: "127.0.0.1", targetPort: 2579 };
const desired = desiredRules(options);

/** A save that holds the desired rules and nothing else; of jumps put into first place the last one stands first. */
function render(rules: DesiredRules): string {
  return rules
    .toReversed()
    .filter((chain) => chain.rules.length > 0)
    .map(({ table, chain, hook, rules: lines }) =>
      [
        `*${table}`,
        `:${hook} ACCEPT [0:0]`,
        `:${chain} - [0:0]`,
        `[1:60] -A ${hook} -j ${chain}`,
        ...lines.map((l) => `-A ${chain} ${l}`),
        "COMMIT",
      ].join("\n"),
    )
    .join("\n");
}

async function restored(save: string, text: string): Promise<SavedRules> {
  const fake = new FakeIptables({ iptables: save });
  const result = await fake.exec("iptables-restore", ["--noflush"], { stdin: text });
  expect(result.stderr).toBe("");
  return parseSave(fake.save());
}

test("the nat chain's text is upstream's, and it is what a fresh node gets", () => {
  expect(planRestore(desired, new Map())?.text).toBe(`*filter
:podid-guard - [0:0]
-A podid-guard -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j REJECT --reject-with tcp-reset
-I FORWARD 1 -j podid-guard
COMMIT
*mangle
:podid-guard - [0:0]
-A podid-guard -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -m addrtype ! --src-type LOCAL -j DROP
-I POSTROUTING 1 -j podid-guard
:podid-loopback - [0:0]
-A podid-loopback -d 127.0.0.0/8 ! -i lo -j DROP
-A podid-loopback -s 127.0.0.0/8 ! -i lo -j DROP
-I PREROUTING 1 -j podid-loopback
COMMIT
*nat
:aad-metadata - [0:0]
-A aad-metadata ! -s 127.0.0.1/32 -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:2579
-A aad-metadata -j RETURN
-I PREROUTING 1 -j aad-metadata
:podid-metadata - [0:0]
-A podid-metadata ! -s 127.0.0.1/32 -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:2579
-A podid-metadata -j RETURN
-I PREROUTING 1 -j podid-metadata
COMMIT
`);
});

test("the desired rules, saved, need nothing", () => {
  expect(planRestore(desired, parseSave(render(desired)))).toBeUndefined();
});

test("an altered target touches only the nat chains, in one transaction", () => {
  const plan = planRestore(desired, parseSave(render(desired).replaceAll(":2579", ":1")));
  expect(plan?.text).toBe(`*nat
:aad-metadata - [0:0]
-A aad-metadata ! -s 127.0.0.1/32 -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:2579
-A aad-metadata -j RETURN
:podid-metadata - [0:0]
-A podid-metadata ! -s 127.0.0.1/32 -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:2579
-A podid-metadata -j RETURN
COMMIT
`);
  expect(plan?.changes).toEqual(["nat: chain aad-metadata was altered", "nat: chain podid-metadata was altered"]);
});

test("a jump behind foreign rules keeps its place; a second one goes", () => {
  const behind = render(desired).replaceAll("[1:60] -A PREROUTING", "-A PREROUTING -j cali-PREROUTING\n-A PREROUTING");
  expect(planRestore(desired, parseSave(behind))).toBeUndefined();
  const twice = render(desired).replace(
    "[1:60] -A PREROUTING -j aad-metadata",
    "-A PREROUTING -j aad-metadata\n-A PREROUTING -i eth0 -j aad-metadata",
  );
  expect(planRestore(desired, parseSave(twice))?.text).toBe(
    "*nat\n-D PREROUTING -j aad-metadata\n-D PREROUTING -i eth0 -j aad-metadata\n-I PREROUTING 1 -j aad-metadata\n-D PREROUTING -j podid-metadata\n-I PREROUTING 1 -j podid-metadata\nCOMMIT\n",
  );
});

test("guard: false takes an existing guard out and leaves the redirect", () => {
  const plan = planRestore(desiredRules({ ...options, guard: false }), parseSave(render(desired)));
  expect(plan?.text).toBe(
    "*filter\n-D FORWARD -j podid-guard\n-F podid-guard\n-X podid-guard\nCOMMIT\n*mangle\n-D POSTROUTING -j podid-guard\n-F podid-guard\n-X podid-guard\nCOMMIT\n",
  );
});

test("absence removes the redirect first, the guard last, and every reference", () => {
  const extra = render(desired)
    .replace(":aad-metadata", ":mine - [0:0]\n:aad-metadata")
    .replace("*nat\n", "*nat\n-A mine -p tcp -j aad-metadata\n");
  const plan = planRestore(desiredAbsence(), parseSave(extra));
  expect([...(plan?.text.matchAll(/^\*(\w+)$/gm) ?? [])].map((m) => m[1])).toEqual(["nat", "mangle", "filter"]);
  expect(plan?.text).toContain("-D mine -p tcp -j aad-metadata\n");
  expect(planRestore(desiredAbsence(), new Map())).toBeUndefined();
});

test.for([
  { field: "metadataIp", value: "fd00::1" },
  { field: "metadataIp", value: "169.254.169" },
  { field: "targetIp", value: "" },
  { field: "targetPort", value: 0 },
  { field: "metadataPort", value: 70_000 },
])("refuses $field $value", ({ field, value }) => {
  expect(() => desiredRules({ ...options, [field]: value })).toThrow(new RegExp(`^${field} .*${value}`));
});

const OURS = new Set(desiredAbsence().map(({ chain }) => chain));

test("the own redirect stands before the shared one, whoever put that in", () => {
  const plan = planRestore(desired, parseSave(render(desired.toReversed())));
  expect(plan?.text).toBe("*nat\n-D PREROUTING -j podid-metadata\n-I PREROUTING 1 -j podid-metadata\nCOMMIT\n");
});

test("a shared chain that another program keeps is neither written nor removed", () => {
  const away = { ...options, targetPort: 2580, sharedChain: "leave" } as const;
  const theirs = parseSave(
    "*nat\n:PREROUTING ACCEPT [0:0]\n:aad-metadata - [0:0]\n-A PREROUTING -j aad-metadata\n-A aad-metadata -j RETURN\nCOMMIT\n",
  );
  const plan = planRestore(desiredRules(away), theirs);
  expect(plan?.text).toContain("-I PREROUTING 1 -j podid-metadata\n");
  expect(plan?.text).not.toContain("aad-metadata");
  expect(planRestore(desiredAbsence(away), theirs)).toBeUndefined();
});

test("a chain to rewrite is filled anew though its text is right", () => {
  const host = desiredRules({ ...options, hostNetwork: { allow: ["system.slice/kubelet.service"] } });
  const saved = parseSave(render(host));
  expect(planRestore(host, saved)).toBeUndefined();
  expect(planRestore(host, saved, { rewrite: new Set(["podid-host"]) })?.changes).toEqual([
    "filter: chain podid-host is filled anew",
    "nat: chain podid-host is filled anew",
  ]);
});

test("WireServer is refused on its two ports, by both layers, and its DNS is not", () => {
  const text = planRestore(desiredRules({ ...options, blockWireServer: true }), new Map())?.text ?? "";
  const ports = [...text.matchAll(/-d 168.63.129.16\/32 -p tcp -m tcp --dport (\d+).* -j (\w+)/g)];
  expect(ports.map(([, port, target]) => `${port} ${target}`)).toEqual([
    "80 REJECT",
    "32526 REJECT",
    "80 DROP",
    "32526 DROP",
  ]);
});

test("a target that is no loopback address needs no guard of loopback", () => {
  const text = planRestore(desiredRules({ ...options, targetIp: "169.254.25.79" }), new Map())?.text;
  expect(text).not.toContain("podid-loopback");
});

test.for(["", "/system.slice", "a b", "a/../b\n-A OUTPUT", "a//b"])("refuses the cgroup path %j", (path) => {
  expect(() => desiredRules({ ...options, hostNetwork: { allow: [path] } })).toThrow(/hostNetwork.allow/);
});

const foreignRule = fc.constantFrom(
  "-j KUBE-SERVICES",
  '-m comment --comment "podid-guard \\"-j aad-metadata\\"" -j ACCEPT',
  "-d 169.254.169.254/32 -p tcp -m tcp --dport 53 -j ACCEPT",
  "! -s 10.0.0.0/8 -o eth0 -j MARK --set-xmark 0x4000/0x4000",
  "-i cali+ -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
);
const ourRule = fc.constantFrom(
  ...desired.flatMap((chain) => [...chain.rules, `-j ${chain.chain}`]),
  "-p tcp -j aad-metadata",
  "-i eth0 -g podid-guard",
  "-d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j ACCEPT",
);
const chainName = fc.constantFrom(
  "PREROUTING",
  "FORWARD",
  "POSTROUTING",
  "KUBE-SERVICES",
  "aad-metadata",
  "podid-guard",
  "podid-metadata",
  "podid-loopback",
);
/** Any mixture of our rules, damaged ones and foreign ones in any chain of the three tables. */
const anySave = fc
  .array(
    fc.record({
      table: fc.constantFrom("filter", "mangle", "nat"),
      chain: chainName,
      rule: fc.oneof(foreignRule, ourRule),
    }),
    { maxLength: 25 },
  )
  .map((rules) => {
    let text = "";
    for (const table of ["filter", "mangle", "nat"]) {
      const own = rules.filter((r) => r.table === table);
      const chains = new Set(
        own.flatMap((r) => [r.chain, parseRule(r.rule).target ?? ""]).filter((c) => /^(aad|podid|KUBE)/.test(c)),
      );
      const builtIn =
        { filter: ["FORWARD"], mangle: ["PREROUTING", "FORWARD", "POSTROUTING"], nat: ["PREROUTING", "POSTROUTING"] }[
          table
        ] ?? [];
      text += `*${table}\n${[...builtIn, ...chains].map((c) => `:${c} - [0:0]\n`).join("")}`;
      for (const { chain, rule } of own)
        if (chains.has(chain) || builtIn.includes(chain)) text += `-A ${chain} ${rule}\n`;
      text += "COMMIT\n";
    }
    return text;
  });

/** Chains that are not ours, with the rules in them that are no jumps to ours; built-in ones only where they hold any. */
function foreign(saved: SavedRules): unknown {
  const isOurs = (chain: string | undefined) => OURS.has(chain ?? "");
  return [...saved].map(([table, chains]) => [
    table,
    [...chains]
      .filter(([chain]) => !isOurs(chain))
      .map(([chain, rules]) => ({ chain, rules: rules.filter((r) => !isOurs(r.target)).map((r) => r.text) }))
      .filter(({ chain, rules }) => rules.length > 0 || chain.startsWith("KUBE")),
  ]);
}

test("law: one restore reaches the desired rules from anywhere and keeps foreign rules in order", async () => {
  await fc.assert(
    fc.asyncProperty(anySave, fc.boolean(), async (save, guard) => {
      const wanted = desiredRules({ ...options, guard });
      const before = parseSave(save);
      const plan = planRestore(wanted, before);
      const after = plan === undefined ? before : await restored(save, plan.text);
      expect(planRestore(wanted, after)).toBeUndefined();
      expect(foreign(after)).toEqual(foreign(before));
    }),
  );
});

test("law: removal leaves nothing of ours and everything else", async () => {
  await fc.assert(
    fc.asyncProperty(anySave, async (save) => {
      const before = parseSave(save);
      const plan = planRestore(desiredAbsence(), before);
      const after = plan === undefined ? before : await restored(save, plan.text);
      const ours = desiredAbsence().filter(({ table, chain }) => after.get(table)?.has(chain));
      expect(ours).toEqual([]);
      expect(foreign(after)).toEqual(foreign(before));
    }),
  );
});
