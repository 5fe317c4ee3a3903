/**
 * Does to a node what aad-pod-identity's NMI does: its chain at start, and again every second if that is not as it left
 * it; a listener on 127.0.0.1:2579 that shares nothing; on SIGTERM the jump and the chain go at once, and the process a
 * while later. Asks IMDS as the node for whoever comes; unlike the original it keeps the answer, for IMDS counts.
 */
import { createServer, get } from "node:http";
import { systemExec } from "@podid/iptables";
import { CLIENT_ID, IMDS, TOKEN } from "./true-node.ts";

const CHAIN = "aad-metadata";
const RULES = [
  `! -s 127.0.0.1/32 -d ${IMDS}/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:2579`,
  "-j RETURN",
];

const iptables = (...args: string[]) => systemExec("iptables", ["-w", "-t", "nat", ...args]);

async function keepChain(): Promise<void> {
  const listed = (await iptables("-S", CHAIN)).stdout.trim().split("\n");
  const wanted = new Set([`-N ${CHAIN}`, ...RULES.map((rule) => `-A ${CHAIN} ${rule}`)]);
  if (!listed.slice(0, 3).every((line) => wanted.has(line)) || listed.length < 3) {
    await iptables("-N", CHAIN);
    await iptables("-F", CHAIN);
    for (const rule of RULES) await iptables("-A", CHAIN, ...rule.split(" "));
  }
  if ((await iptables("-C", "PREROUTING", "-j", CHAIN)).code !== 0)
    await iptables("-I", "PREROUTING", "1", "-j", CHAIN);
}

function token(): Promise<string> {
  return new Promise((resolve, reject) => {
    const path = `${TOKEN}&client_id=${CLIENT_ID}`;
    const request = get({ host: IMDS, port: 80, path, headers: { metadata: "true" }, agent: false }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
      answer.once("end", () => resolve(body));
    });
    request.once("error", reject);
  });
}

const answer = token();
const server = createServer((_request, response) => {
  void answer.then((body) => response.writeHead(200, { "content-type": "application/json" }).end(body));
});
server.once("error", (error) => {
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
});
process.once("SIGTERM", () => {
  clearInterval(timer);
  void (async () => {
    await iptables("-D", "PREROUTING", "-j", CHAIN);
    await iptables("-F", CHAIN);
    await iptables("-X", CHAIN);
    process.stderr.write("chain removed\n");
    setTimeout(() => process.exit(0), 1_500);
  })();
});

await keepChain();
const timer = setInterval(() => void keepChain(), 1_000);
server.listen(2579, "127.0.0.1", () => process.stderr.write("serving\n"));
