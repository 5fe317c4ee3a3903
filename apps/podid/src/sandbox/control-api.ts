import { timingSafeEqual } from "node:crypto";
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from "node:http";
import type { Server } from "node:net";
import type { AccountTokens } from "./account-tokens.ts";
import type { ApiServer } from "./api-server.ts";
import { Refused, type Call } from "./control-call.ts";
import { setPort } from "./fabric.ts";
import type { Kubelet } from "./kubelet.ts";
import type { LogBuffer } from "./log-buffer.ts";
import type { NodeRow, PodDoor, SandboxStatus } from "./protocol.ts";
import { inNamespace, output } from "./shell.ts";
import type { SupervisedProcess } from "./supervised-process.ts";
import type { Topology } from "./topology.ts";

export interface ControlApiOptions {
  /** Bearer token that every request must carry. */
  readonly token: string;
  readonly topology: Topology;
  readonly nodes: readonly NodeRow[];
  readonly processes: readonly SupervisedProcess[];
  readonly kubelet: Kubelet;
  readonly api: ApiServer;
  readonly tokens: AccountTokens;
  /** Of the Azure emulator, reachable from here. */
  readonly azureControlUrl: string;
  readonly stop: () => void;
}

/** Serves the sandbox's control API on a socket of the host's. The README lists its routes. */
export function startControlApi(listener: Server, options: ControlApiOptions): void {
  const control = new ControlApi(options);
  const server = createServer((message, response) => void control.serve(message, response));
  listener.on("connection", (socket) => server.emit("connection", socket));
}

class ControlApi {
  readonly #options: ControlApiOptions;

  constructor(options: ControlApiOptions) {
    this.#options = options;
  }

  async serve(message: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      this.#authenticate(message);
      const url = new URL(message.url ?? "/", "http://control");
      const parts = url.pathname
        .split("/")
        .filter((part) => part !== "")
        .map(decodeURIComponent);
      if (parts[0] === "azure") {
        this.#forward(message, response);
        return;
      }
      const signal = new AbortController();
      response.once("close", () => signal.abort());
      const call: Call = {
        method: message.method ?? "GET",
        parts,
        query: url.searchParams,
        body: await readJson(message),
        signal: signal.signal,
      };
      const log = this.#logOf(call);
      if (log !== undefined) {
        await this.#sendLog(log, call, response);
        return;
      }
      const answer = await this.#answer(call);
      response.writeHead(answer === undefined ? 204 : 200, { "content-type": "application/json; charset=utf-8" });
      response.end(answer === undefined ? undefined : `${JSON.stringify(answer, null, 2)}\n`);
    } catch (error) {
      const status = error instanceof Refused ? error.status : 400;
      if (response.headersSent) {
        response.destroy();
        return;
      }
      response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
      response.end(
        `${JSON.stringify({ error: status === 404 ? "not_found" : "refused", error_description: error instanceof Error ? error.message : String(error) })}\n`,
      );
    }
  }

  #authenticate(message: IncomingMessage): void {
    const given = Buffer.from(/^Bearer (.+)$/.exec(message.headers.authorization ?? "")?.[1] ?? "");
    const wanted = Buffer.from(this.#options.token);
    if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
      throw new Refused(401, "send `Authorization: Bearer` with controlToken of the state file");
  }

  async #answer(call: Call): Promise<unknown> {
    const [area, name = "", action = "", last = ""] = call.parts;
    switch (`${call.method} ${area}`) {
      case "GET status":
        return this.#status();
      case "GET nodes":
        return this.#options.nodes;
      case "GET pods":
        return name === "" ? this.#options.kubelet.rows : this.#door(name, action);
      case "GET processes":
        return this.#options.processes.map((each) => each.status);
      case "POST processes":
        return this.#process(name, action, call);
      case "POST nodes":
        if (action === "exec")
          return this.#execIn(["nsenter", ...inNamespace(this.#node(name).namespace)], process.env, call);
        break;
      case "POST pods": {
        if (last !== "exec") break;
        const { pid, env } = this.#entrance(name, action);
        return this.#execIn(["nsenter", "--net", "--mount", "--uts", "-t", String(pid), "--"], env, call);
      }
      case "POST stop":
        setImmediate(this.#options.stop);
        return undefined;
      case "POST fabric":
        return this.#plug(name, action);
      case "POST tokens":
        if (name !== "rotate") break;
        return this.#options.tokens.rotate();
      case "GET kube":
      case "POST kube":
      case "DELETE kube":
        return this.#options.api.control(call);
      default:
    }
    throw new Refused(404, `${call.method} /${call.parts.join("/")} is no route of the sandbox`);
  }

  /** What `sandbox exec` needs on the host's side. */
  #door(namespace: string, name: string): PodDoor {
    const { pid, env } = this.#entrance(namespace, name);
    return { pid, azureConfigDir: env["AZURE_CONFIG_DIR"] ?? "" };
  }

  #status(): SandboxStatus {
    const { nodes, kubelet, processes } = this.#options;
    return { nodes, pods: kubelet.rows, processes: processes.map((each) => each.status) };
  }

  /** Cuts a node or a MIC replica off from the fabric: from the API server and the cloud, not from its own pods. */
  async #plug(name: string, action: string): Promise<void> {
    const { mic } = this.#options.topology;
    const replica = mic.findIndex((each) => each.name === name);
    const port = replica < 0 ? `node${this.#node(name).index}` : `mic${replica}`;
    if (action !== "plug" && action !== "unplug")
      throw new Refused(404, `${action} is no action on the fabric: use plug or unplug`);
    await setPort(port, action === "plug" ? "up" : "down");
  }

  async #process(name: string, action: string, call: Call): Promise<unknown> {
    const found = this.#find(name);
    switch (action) {
      case "start":
        found.start();
        break;
      case "stop":
        await found.stop();
        break;
      case "restart":
        await found.restart();
        break;
      case "kill": {
        const signal = textIn(call, "signal") ?? "SIGKILL";
        if (!/^SIG[A-Z0-9]+$/.test(signal))
          throw new Refused(400, `signal ${JSON.stringify(signal)} is none: use e.g. SIGKILL`);
        if (!found.kill(signal as NodeJS.Signals)) throw new Refused(409, `${name} is not running`);
        break;
      }
      default:
        throw new Refused(404, `${action} is no action on a process: use start, stop, restart or kill`);
    }
    return found.status;
  }

  async #execIn(prefix: readonly string[], env: NodeJS.ProcessEnv, call: Call): Promise<unknown> {
    const { command, stdin, timeoutMs } = call.body;
    if (!Array.isArray(command) || command.length === 0 || !command.every((word) => typeof word === "string"))
      throw new Refused(400, 'command is missing: send {"command": ["ip", "route"]}');
    const [program = "", ...args] = [...prefix, ...command];
    return output(program, args, {
      env,
      timeoutMs: typeof timeoutMs === "number" ? timeoutMs : 60_000,
      ...(typeof stdin === "string" ? { stdin } : {}),
    });
  }

  #logOf(call: Call): LogBuffer | undefined {
    if (call.method !== "GET" || call.parts.at(-1) !== "logs") return undefined;
    const [area, first = "", second = ""] = call.parts;
    if (area === "processes") return this.#find(first).log;
    if (area !== "pods") return undefined;
    const log = this.#options.kubelet.log(first, second, call.query.get("container") ?? undefined);
    if (log === undefined) throw new Refused(404, `pod ${first}/${second} does not run here, or has no such container`);
    return log;
  }

  async #sendLog(log: LogBuffer, call: Call, response: ServerResponse): Promise<void> {
    const tail = call.query.get("tail");
    response.writeHead(200, { "content-type": "text/plain; charset=utf-8" });
    response.flushHeaders();
    const lines = log.read({
      tail: tail === null ? undefined : Number(tail),
      follow: call.query.get("follow") === "true",
      signal: call.signal,
    });
    for await (const { text } of lines) response.write(`${text}\n`);
    response.end();
  }

  /** The Azure emulator has a control API of its own. */
  #forward(message: IncomingMessage, response: ServerResponse): void {
    const path = (message.url ?? "").replace(/^\/azure(?=\/|\?|$)/, "") || "/";
    const { authorization: _token, host: _host, ...headers } = message.headers;
    const onward = forward(`${this.#options.azureControlUrl}${path}`, { method: message.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    onward.once("error", (error) => {
      if (!response.headersSent) response.writeHead(502);
      response.end(error.message);
    });
    message.pipe(onward);
  }

  #find(name: string): SupervisedProcess {
    const found = this.#options.processes.find((each) => each.plan.name === name);
    if (found) return found;
    throw new Refused(
      404,
      `process ${JSON.stringify(name)} does not exist: ${this.#options.processes.map((each) => each.plan.name).join(", ")} do`,
    );
  }

  #node(name: string): Topology["nodes"][number] {
    const found = this.#options.topology.nodes.find((node) => node.name === name);
    if (found) return found;
    throw new Refused(
      404,
      `node ${JSON.stringify(name)} does not exist: ${this.#options.topology.nodes.map((node) => node.name).join(", ")} do`,
    );
  }

  #entrance(namespace: string, name: string): NonNullable<ReturnType<Kubelet["entrance"]>> {
    const found = this.#options.kubelet.entrance(namespace, name);
    if (found) return found;
    const others = this.#options.kubelet.rows.map((pod) => `${pod.namespace}/${pod.name}`);
    throw new Refused(
      404,
      `pod ${namespace}/${name} does not run here${others.length > 0 ? `; these do: ${others.join(", ")}` : ""}`,
    );
  }
}

function textIn(call: Call, name: string): string | undefined {
  const value = call.body[name] ?? call.query.get(name);
  return typeof value === "string" ? value : undefined;
}

async function readJson(message: IncomingMessage): Promise<Record<string, unknown>> {
  let text = "";
  message.setEncoding("utf8");
  for await (const chunk of message) text += chunk as string;
  if (text === "") return {};
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new Refused(400, "the body must be a JSON object");
  return value as Record<string, unknown>;
}
