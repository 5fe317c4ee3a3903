#!/usr/bin/env node
import { LISTEN_COMMAND, serveListenCommand } from "./sandbox/namespaced-listener.ts";

// Commands load what they need and no more: the hidden ones run many times while a sandbox starts.
const [command] = process.argv.slice(2);
if (command === LISTEN_COMMAND) serveListenCommand(process.argv.slice(3));
else if (command === "supervise-sandbox") (await import("./sandbox/supervise-command.ts")).serveSuperviseCommand();
else (await import("./podid.ts")).runPodid();
