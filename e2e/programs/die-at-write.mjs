// Loaded before MIC: counts its writes from SIGUSR2 on, tells them on the standard error, and ends the process at one of them as
// a power cut would. PODID_E2E_DIE is {"write": 3, "phase": "before" | "after"}; without it nothing ends.
import http from "node:http";
import https from "node:https";
import { syncBuiltinESMExports } from "node:module";

const { write: fatal, phase } = JSON.parse(process.env.PODID_E2E_DIE ?? "{}");
let armed = false;
let count = 0;

process.on("SIGUSR2", () => {
  armed = true;
  process.stderr.write(`${JSON.stringify({ msg: "writes are counted from now on" })}\n`);
});

/** Every request that changes something, or that waits for a change; neither the Lease nor events, which no state depends on. */
function isStep(method, path) {
  if (method === "GET") return /\/operations\//i.test(path);
  return !/\/(leases|events|oauth2)\b/.test(path);
}

function wrapped(request) {
  return function (...given) {
    const options = given.find((value) => typeof value === "object" && !(value instanceof URL)) ?? {};
    const url = given[0] instanceof URL ? given[0] : undefined;
    const path = options.path ?? url?.pathname ?? "";
    const method = options.method ?? "GET";
    if (!armed || !isStep(method, path)) return request.apply(this, given);
    count += 1;
    const last = count === fatal;
    const step = `${method} ${path.split("?")[0]}`;
    process.stderr.write(`${JSON.stringify({ msg: "write", write: count, step })}\n`);
    if (last && phase === "before") die();
    const sent = request.apply(this, given);
    // The server has done its work; nobody has heard of it.
    if (last && phase === "after") sent.prependListener("response", die);
    return sent;
  };
}

function die() {
  process.kill(process.pid, "SIGKILL");
}

for (const library of [http, https]) library.request = wrapped(library.request);
syncBuiltinESMExports();
