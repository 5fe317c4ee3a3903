import { expect, test } from "vitest";
import { parseRule, splitWords } from "./rule.ts";

const ours = "! -s 127.0.0.1/32 -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:2579";

test.for([
  {
    name: "order of options",
    text: "-p tcp -m tcp --dport 80 -d 169.254.169.254/32 ! -s 127.0.0.1/32 -j DNAT --to-destination 127.0.0.1:2579",
  },
  {
    name: "no mask",
    text: "! -s 127.0.0.1 -d 169.254.169.254 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:2579",
  },
  {
    name: "dotted mask",
    text: "! -s 127.0.0.1/255.255.255.255 -d 169.254.169.254 -p tcp --dport 80 -j DNAT --to-destination 127.0.0.1:2579",
  },
  { name: "implied match", text: ours.replace(" -m tcp", "") },
  {
    name: "long options",
    text: "! --source 127.0.0.1 --destination=169.254.169.254/32 --protocol tcp --match tcp --destination-port 80 --jump DNAT --to-destination 127.0.0.1:2579",
  },
  { name: "old place of the negation", text: ours.replace("! -s 127.0.0.1/32", "-s ! 127.0.0.1/32") },
  { name: "number of the protocol", text: ours.replace("-p tcp", "-p 6") },
  { name: "range of one port", text: ours.replace("--dport 80", "--dport 80:80") },
  { name: "a comment", text: `-m comment --comment "-j ACCEPT \\"x\\"" ${ours}` },
  { name: "counters behind", text: `${ours} -c 12 720` },
])("same meaning: $name", ({ text }) => {
  expect(parseRule(text).meaning).toBe(parseRule(ours).meaning);
});

test.for([
  { name: "negation gone", text: ours.replace("! ", "") },
  { name: "other target port", text: ours.replace("2579", "2580") },
  { name: "other port", text: ours.replace("--dport 80", "--dport 8080") },
  { name: "port range", text: ours.replace("--dport 80", "--dport 80:81") },
  { name: "other network", text: ours.replace("169.254.169.254/32", "169.254.0.0/16") },
  { name: "other protocol", text: ours.replace("-p tcp -m tcp", "-p udp -m udp") },
  { name: "only of one interface", text: `-i eth0 ${ours}` },
  { name: "other action", text: ours.replace("DNAT --to-destination 127.0.0.1:2579", "ACCEPT") },
])("other meaning: $name", ({ text }) => {
  expect(parseRule(text).meaning).not.toBe(parseRule(ours).meaning);
});

test("everything as source or destination restricts nothing", () => {
  expect(parseRule("-s 0.0.0.0/0 -j aad-metadata").meaning).toBe(parseRule("-j aad-metadata").meaning);
});

test("the target is not taken from a comment", () => {
  expect(parseRule('-m comment --comment "-j aad-metadata" -j ACCEPT').target).toBe("ACCEPT");
  expect(parseRule("-m comment --comment -j -j ACCEPT").target).toBe("ACCEPT");
  expect(parseRule("-g aad-metadata").target).toBe("aad-metadata");
  expect(parseRule("-p tcp").target).toBeUndefined();
});

test("quotes and backslashes as iptables prints them", () => {
  expect(splitWords(String.raw`-m comment --comment "hello \"w\" it\'s -j x" -j  ACCEPT`)).toEqual([
    "-m",
    "comment",
    "--comment",
    `hello "w" it's -j x`,
    "-j",
    "ACCEPT",
  ]);
  expect(splitWords('a "" b')).toEqual(["a", "", "b"]);
});
