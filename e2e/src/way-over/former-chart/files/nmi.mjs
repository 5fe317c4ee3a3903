// Does to a node what aad-pod-identity's NMI does: its chain at start and again whenever that is not as it left it; a listener on
// 127.0.0.1:2579 that shares nothing; on SIGTERM the jump and the chain go at once, and the process ten seconds later. It asks the
// metadata service as the node does, for whoever comes.
import { execFile } from "node:child_process";
import { createServer, get } from "node:http";
import { promisify } from "node:util";

const IMDS = "169.254.169.254";
const CHAIN = "aad-metadata";
const RULES = [
  `! -s 127.0.0.1/32 -d ${IMDS}/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 127.0.0.1:2579`,
  "-j RETURN",
];
const say = (line) => process.stdout.write(`${line}\n`);
const clientId = process.env.CLIENT_ID ?? "";
const probePort = Number(process.argv.find((each) => each.startsWith("--http-probe-port="))?.split("=")[1]);

const run = promisify(execFile);
// Its image picks the kind of iptables that the node's other rules are in.
const count = async (program) =>
  (await run(program, ["-t", "nat"]).catch(() => ({ stdout: "" }))).stdout.split("KUBE-").length;
const legacy = (await count("iptables-legacy-save")) > (await count("iptables-nft-save"));
const iptables = (...args) => run(legacy ? "iptables-legacy" : "iptables-nft", ["-w", "-t", "nat", ...args]);
const works = (...args) =>
  iptables(...args).then(
    () => true,
    () => false,
  );

async function keepChain() {
  const listed = await iptables("-S", CHAIN).then(
    ({ stdout }) => stdout.trim().split("\n"),
    () => [],
  );
  const wanted = new Set([`-N ${CHAIN}`, ...RULES.map((rule) => `-A ${CHAIN} ${rule}`)]);
  if (listed.length < 3 || !listed.slice(0, 3).every((line) => wanted.has(line))) {
    await works("-N", CHAIN);
    await iptables("-F", CHAIN);
    for (const rule of RULES) await iptables("-A", CHAIN, ...rule.split(" "));
  }
  if (!(await works("-C", "PREROUTING", "-j", CHAIN))) await iptables("-I", "PREROUTING", "1", "-j", CHAIN);
}

function fromImds(resource) {
  const path = `/metadata/identity/oauth2/token?${new URLSearchParams({ "api-version": "2018-02-01", resource, client_id: clientId })}`;
  return new Promise((resolve, reject) => {
    get({ host: IMDS, path, headers: { metadata: "true" }, agent: false }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (chunk) => (body += chunk));
      answer.once("end", () => resolve({ status: answer.statusCode, body }));
    }).once("error", reject);
  });
}

// One request to the metadata service per resource, so that it is not throttled; what is not a token is asked for again.
const answers = new Map();
const server = createServer((request, response) => {
  const resource = new URL(request.url, "http://imds").searchParams.get("resource") ?? "";
  const answer = answers.get(resource) ?? fromImds(resource);
  answers.set(resource, answer);
  answer.then(
    ({ status, body }) => {
      if (status !== 200) answers.delete(resource);
      response.writeHead(status, { "content-type": "application/json" }).end(body);
    },
    (error) => {
      answers.delete(resource);
      response.writeHead(500).end(String(error));
    },
  );
});
server.once("error", (error) => {
  say(`cannot listen: ${error.message}`);
  process.exit(1);
});
process.once("SIGTERM", async () => {
  clearInterval(timer);
  await iptables("-D", "PREROUTING", "-j", CHAIN);
  await iptables("-F", CHAIN);
  await iptables("-X", CHAIN);
  say("chain removed");
  setTimeout(() => process.exit(0), 10_000);
});

await keepChain();
const timer = setInterval(() => void keepChain(), 2_000);
server.listen(2579, "127.0.0.1", () => say("serving"));
createServer((_request, response) => response.end("Active")).listen(probePort);
