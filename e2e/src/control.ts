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
    timeoutMs = 60_000,
  ): Promise<CommandResult> {
    const path =
      "node" in target ? `/nodes/${target.node}/exec` : `/pods/${target.namespace ?? "default"}/${target.pod}/exec`;
    return this.#request("POST", path, { command, timeoutMs });
  }

  /** Requests to the emulated cloud, oldest first. */
  azureRequests(filter: Readonly<Record<string, string>> = {}): Promise<LogEntry[]> {
    return this.#request("GET", `/azure/requests?${new URLSearchParams(filter).toString()}`);
  }

  addAzureFault(fault: Fault): Promise<{ id: string }> {
    return this.#request("POST", "/azure/faults", fault);
  }

  /** Every fault, with how many requests it has met. */
  azureFaults(): Promise<readonly { readonly id: string; readonly met: number }[]> {
    return this.#request("GET", "/azure/faults");
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

  /** `stop`, `start`, `pause`, `resume`, `restart-etcd`, `stallWatches`, `resumeWatches` of the API server. */
  kube(action: string, body: object = {}): Promise<void> {
    return this.#request("POST", `/kube/${action}`, body);
  }

  /** Refuses or delays requests; only the emulator can. */
  addKubeFault(rule: object): Promise<{ id: string }> {
    return this.#request("POST", "/kube/faults", rule);
  }

  clearKubeFaults(): Promise<void> {
    return this.#request("DELETE", "/kube/faults");
  }

  /** Requests to the API server, oldest first. */
  kubeRequests(filter: Readonly<Record<string, string>> = {}): Promise<KubeRequestEntry[]> {
    return this.#request("GET", `/kube/audit?${new URLSearchParams(filter).toString()}`);
  }

  /** Cuts a node or a MIC replica off from the API server and the cloud, or ends that. */
  fabric(name: string, action: "plug" | "unplug"): Promise<void> {
    return this.#request("POST", `/fabric/${name}/${action}`, {});
  }

  /** New tokens for MIC and NMI; the old ones become invalid. */
  rotateTokens(): Promise<void> {
    return this.#request("POST", "/tokens/rotate", {});
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

/** A request to the API server, as both servers' audit logs tell of it. */
export interface KubeRequestEntry {
  readonly user: string;
  /** The client's address on the fabric. */
  readonly peer: string;
  readonly path: string;
  readonly verb: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  readonly query: Readonly<Record<string, string>>;
  readonly status: number;
  readonly time: number;
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
