import type { Fault, LogEntry } from "@podid/azure-emulator";
import type { SandboxState } from "./sandbox-process.ts";

export interface ProcessStatus {
  readonly name: string;
  readonly app: "mic" | "nmi";
  readonly state: "running" | "stopped" | "waiting";
  readonly restarts: number;
  /** In the sandbox's pid namespace. */
  readonly pid?: number;
}

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** The sandbox's control API, as far as scenarios use it. */
export class Control {
  readonly #state: SandboxState;

  constructor(state: SandboxState) {
    this.#state = state;
  }

  processes(): Promise<ProcessStatus[]> {
    return this.#request("GET", "/processes");
  }

  process(name: string, action: "start" | "stop" | "restart"): Promise<ProcessStatus> {
    return this.#request("POST", `/processes/${name}/${action}`, {});
  }

  kill(name: string, signal: NodeJS.Signals): Promise<ProcessStatus> {
    return this.#request("POST", `/processes/${name}/kill`, { signal });
  }

  async processLog(name: string): Promise<string> {
    return (await this.#fetch("GET", `/processes/${name}/logs`)).text();
  }

  /** Runs a command in a pod's namespaces, or in a node's. */
  exec(
    target: { readonly pod: string; readonly namespace?: string } | { readonly node: string },
    command: readonly string[],
  ): Promise<CommandResult> {
    const path =
      "node" in target ? `/nodes/${target.node}/exec` : `/pods/${target.namespace ?? "default"}/${target.pod}/exec`;
    return this.#request("POST", path, { command });
  }

  /** Requests to the emulated cloud, oldest first. */
  azureRequests(filter: Readonly<Record<string, string>> = {}): Promise<LogEntry[]> {
    return this.#request("GET", `/azure/requests?${new URLSearchParams(filter).toString()}`);
  }

  addAzureFault(fault: Fault): Promise<{ id: string }> {
    return this.#request("POST", "/azure/faults", fault);
  }

  clearAzureFaults(): Promise<void> {
    return this.#request("DELETE", "/azure/faults");
  }

  azureSeed(): Promise<Seed> {
    return this.#request("GET", "/azure/seed");
  }

  addToAzure(seed: object): Promise<void> {
    return this.#request("POST", "/azure/seed", seed);
  }

  replaceAzure(seed: object): Promise<void> {
    return this.#request("PUT", "/azure/seed", seed);
  }

  cutWatches(match: object = {}): Promise<{ cut: number }> {
    return this.#request("POST", "/kube/cutWatches", match);
  }

  compact(): Promise<void> {
    return this.#request("POST", "/kube/compact", {});
  }

  async #request<T>(method: string, path: string, body?: object): Promise<T> {
    const text = await (await this.#fetch(method, path, body)).text();
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }

  async #fetch(method: string, path: string, body?: object): Promise<Response> {
    const response = await fetch(`${this.#state.controlUrl}${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#state.controlToken}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  }
}

/** What scenarios read of the emulated cloud's state. */
export interface Seed {
  readonly virtualMachines?: readonly AttachedMachine[];
  readonly scaleSets?: readonly AttachedMachine[];
  readonly roleAssignments?: readonly { readonly principal: string; readonly role: string; readonly scope: string }[];
}

interface AttachedMachine {
  readonly id: string;
  readonly userAssigned?: readonly string[];
}
