import { spawn } from "node:child_process";

import type { Clock } from "./clock.ts";

/** `users[].user.exec` of a kubeconfig. */
export interface ExecConfig {
  readonly apiVersion: string;
  readonly command: string;
  readonly args?: readonly string[] | null;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null;
  readonly installHint?: string;
  readonly provideClusterInfo?: boolean;
}

export interface ExecCredential {
  readonly token?: string | undefined;
  readonly clientCertificateData?: string | undefined;
  readonly clientKeyData?: string | undefined;
  readonly expiresAt: number | undefined;
}

const TIMEOUT_MS = 60_000;

/**
 * Runs a credential plugin by the client.authentication.k8s.io protocol and keeps its answer until it expires.
 * The plugin's stderr goes to this process's stderr, unread: it may hold anything.
 */
export class ExecCredentials {
  readonly #exec: ExecConfig;
  readonly #cluster: object;
  readonly #clock: Clock;
  #cached: ExecCredential | undefined;
  #running: Promise<ExecCredential> | undefined;

  constructor(exec: ExecConfig, cluster: object, clock: Clock) {
    this.#exec = exec;
    this.#cluster = cluster;
    this.#clock = clock;
  }

  async get(refresh: boolean): Promise<ExecCredential> {
    const cached = this.#cached;
    if (cached && !refresh && (cached.expiresAt === undefined || this.#clock.now() < cached.expiresAt)) return cached;
    this.#running ??= this.#run().finally(() => (this.#running = undefined));
    this.#cached = await this.#running;
    return this.#cached;
  }

  async #run(): Promise<ExecCredential> {
    const { apiVersion, command, args, env, installHint, provideClusterInfo } = this.#exec;
    const info = {
      apiVersion,
      kind: "ExecCredential",
      spec: { interactive: false, ...(provideClusterInfo ? { cluster: this.#cluster } : {}) },
    };
    const variables = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
    const child = spawn(command, [...(args ?? [])], {
      stdio: ["ignore", "pipe", "inherit"],
      timeout: TIMEOUT_MS,
      env: { ...process.env, ...variables, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
    });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
    const code = await new Promise<number | string>((resolve, reject) => {
      child.once("error", (cause) => {
        const hint = installHint ? ` ${installHint.trim()}` : "";
        reject(
          new Error(`cannot run the kubeconfig's credential plugin ${command}: ${cause.message}.${hint}`, { cause }),
        );
      });
      child.once("close", (status, signal) => resolve(status ?? signal ?? "unknown"));
    });
    if (code !== 0)
      throw new Error(`the kubeconfig's credential plugin ${command} ended with ${code}; run it by hand to see why`);
    return parseExecCredential(output, command, apiVersion);
  }
}

function parseExecCredential(output: string, command: string, apiVersion: string): ExecCredential {
  let answer: { apiVersion?: string; kind?: string; status?: Record<string, string> };
  try {
    answer = JSON.parse(output);
  } catch {
    throw new Error(
      `the kubeconfig's credential plugin ${command} did not print JSON; run it by hand to see what it prints`,
    );
  }
  const { status } = answer;
  if (
    answer.kind !== "ExecCredential" ||
    answer.apiVersion !== apiVersion ||
    (!status?.token && !status?.clientCertificateData)
  )
    throw new Error(
      `the kubeconfig's credential plugin ${command} printed no ExecCredential of ${apiVersion} with status.token or status.clientCertificateData; ` +
        "make the plugin's version and the kubeconfig's apiVersion agree",
    );
  const expiresAt = Date.parse(status.expirationTimestamp ?? "");
  return {
    token: status.token,
    clientCertificateData: status.clientCertificateData,
    clientKeyData: status.clientKeyData,
    expiresAt: Number.isNaN(expiresAt) ? undefined : expiresAt,
  };
}
