import { generateKeyPairSync, randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAuthority } from "@podid/throwaway-ca";
import { stringify } from "yaml";
import type { Assets } from "./assets.ts";
import { freePort } from "./free-port.ts";
import { Program } from "./program.ts";

export interface ControlPlaneOptions {
  readonly assets: Assets;
  /** Address to listen on; 127.0.0.1 when absent. */
  readonly host?: string;
  readonly port?: number;
  /** `iss` of ServiceAccount tokens, an https URL; the server's own URL when absent. Its documents are served at the root either way. */
  readonly issuer?: string;
  /** For keys, data and logs: made, and removed by {@link ControlPlane.close}. A temporary one when absent. */
  readonly directory?: string;
  /** Further names and addresses for the certificate. */
  readonly certificateHosts?: readonly string[];
  /** Further flags of kube-apiserver, such as `--watch-cache=false`; a later one wins over ours. */
  readonly apiServerFlags?: readonly string[];
  /** Further users, known by a token each; {@link ControlPlane.kubeconfig} takes it. */
  readonly users?: readonly StaticUser[];
  /** An audit policy (YAML or JSON text); everything at level Metadata when absent. */
  readonly auditPolicy?: string;
}

/** A user of a static token file (https://kubernetes.io/docs/reference/access-authn-authz/authentication/#static-token-file). */
export interface StaticUser {
  readonly token: string;
  readonly name: string;
  readonly groups: readonly string[];
}

const ADMIN = { user: "admin", group: "system:masters" };
const DEFAULT_AUDIT_POLICY = JSON.stringify({
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "Metadata" }],
});

/** A running kube-apiserver with its etcd. Nothing of it outlives {@link ControlPlane.close}. */
export class ControlPlane {
  readonly url: string;
  readonly port: number;
  readonly caPem: string;
  readonly adminToken: string;
  /** Folder of keys, data and logs. */
  readonly directory: string;
  readonly #options: ControlPlaneOptions;
  readonly #etcdUrl: string;
  readonly #etcdArgs: readonly string[];
  readonly #apiServerArgs: readonly string[];
  #etcd: Program;
  #apiServer: Program;

  private constructor(o: {
    options: ControlPlaneOptions;
    directory: string;
    host: string;
    port: number;
    caPem: string;
    adminToken: string;
    etcdUrl: string;
    etcdArgs: readonly string[];
    apiServerArgs: readonly string[];
  }) {
    this.#options = o.options;
    this.directory = o.directory;
    this.port = o.port;
    this.url = `https://${o.host}:${o.port}`;
    this.caPem = o.caPem;
    this.adminToken = o.adminToken;
    this.#etcdUrl = o.etcdUrl;
    this.#etcdArgs = o.etcdArgs;
    this.#apiServerArgs = o.apiServerArgs;
    this.#etcd = this.#startEtcd();
    this.#apiServer = this.#startApiServer();
  }

  /** Starts both and waits until `/readyz` holds. @throws when one ends or is not ready within a minute */
  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    const host = options.host ?? "127.0.0.1";
    const directory = options.directory ?? (await mkdtemp(join(tmpdir(), "podid-control-plane-")));
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const file = (name: string): string => join(directory, name);
    const [port, etcdPort, peerPort] = await Promise.all([
      options.port ?? freePort(host),
      freePort("127.0.0.1"),
      freePort("127.0.0.1"),
    ]);
    const authority = await createAuthority({ name: "control-plane throw-away CA", now: Date.now() });
    const server = await authority.issue({
      commonName: "kube-apiserver",
      hosts: ["localhost", "127.0.0.1", "kubernetes.default.svc", host, ...(options.certificateHosts ?? [])],
    });
    const adminToken = randomBytes(24).toString("hex");
    const serviceAccountKey = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
      type: "pkcs8",
      format: "pem",
    });
    await Promise.all(
      Object.entries({
        "ca.pem": authority.caPem,
        "server.pem": server.certificatePem,
        "server-key.pem": server.keyPem,
        "service-account-key.pem": serviceAccountKey,
        "tokens.csv": [
          `${adminToken},${ADMIN.user},${ADMIN.user},${ADMIN.group}\n`,
          ...(options.users ?? []).map(({ token, name, groups }) => `${token},${name},${name},"${groups.join(",")}"\n`),
        ].join(""),
        "audit-policy.yaml": options.auditPolicy ?? DEFAULT_AUDIT_POLICY,
      }).map(([name, content]) => writeFile(file(name), content, { mode: 0o600 })),
    );
    const etcdUrl = `http://127.0.0.1:${etcdPort}`;
    const peerUrl = `http://127.0.0.1:${peerPort}`;
    const url = `https://${host}:${port}`;
    const issuer = options.issuer ?? url;
    const controlPlane = new ControlPlane({
      options,
      directory,
      host,
      port,
      caPem: authority.caPem,
      adminToken,
      etcdUrl,
      etcdArgs: [
        `--data-dir=${file("etcd")}`,
        `--listen-client-urls=${etcdUrl}`,
        `--advertise-client-urls=${etcdUrl}`,
        `--listen-peer-urls=${peerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        `--initial-cluster=default=${peerUrl}`,
        "--unsafe-no-fsync",
        "--log-level=warn",
      ],
      apiServerArgs: [
        `--bind-address=${host}`,
        `--advertise-address=${host}`,
        `--secure-port=${port}`,
        `--etcd-servers=${etcdUrl}`,
        `--tls-cert-file=${file("server.pem")}`,
        `--tls-private-key-file=${file("server-key.pem")}`,
        `--token-auth-file=${file("tokens.csv")}`,
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        `--service-account-issuer=${issuer}`,
        `--service-account-jwks-uri=${issuer.replace(/\/$/, "")}/openid/v1/jwks`,
        `--service-account-key-file=${file("service-account-key.pem")}`,
        `--service-account-signing-key-file=${file("service-account-key.pem")}`,
        `--api-audiences=${url}`,
        "--service-cluster-ip-range=10.96.0.0/16",
        "--endpoint-reconciler-type=none",
        `--audit-policy-file=${file("audit-policy.yaml")}`,
        `--audit-log-path=${file("audit.log")}`,
        ...(options.apiServerFlags ?? []),
      ],
    });
    try {
      await controlPlane.#ready();
    } catch (error) {
      await controlPlane.#stopPrograms();
      throw error;
    }
    return controlPlane;
  }

  /** Where a file that the server uses lies: its CA's certificate, or the key that signs ServiceAccount tokens. */
  file(name: "ca.pem" | "service-account-key.pem"): string {
    return join(this.directory, name);
  }

  /** A kubeconfig of the administrator or of who owns `token`, YAML. */
  kubeconfig(server = this.url, token = this.adminToken): string {
    return stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": "control-plane",
      clusters: [
        {
          name: "control-plane",
          cluster: { server, "certificate-authority-data": Buffer.from(this.caPem).toString("base64") },
        },
      ],
      users: [{ name: "user", user: { token } }],
      contexts: [{ name: "control-plane", context: { cluster: "control-plane", user: "user" } }],
    });
  }

  /** Every line of the audit log so far. */
  async audit(): Promise<unknown[]> {
    const text = await readFile(join(this.directory, "audit.log"), "utf8");
    // What follows the last line break is empty, or a line that is being written.
    return text
      .split("\n")
      .slice(0, -1)
      .map((line): unknown => JSON.parse(line));
  }

  /** Stops one of the programs, at once; its data stays. */
  async stop(program: "etcd" | "kube-apiserver"): Promise<void> {
    await (program === "etcd" ? this.#etcd : this.#apiServer).stop("SIGKILL");
  }

  /** Starts a stopped program again and waits until both are ready. */
  async restart(program: "etcd" | "kube-apiserver"): Promise<void> {
    await this.stop(program);
    if (program === "etcd") this.#etcd = this.#startEtcd();
    else this.#apiServer = this.#startApiServer();
    await this.#ready();
  }

  /** Lets one of the programs stand still (SIGSTOP) until it goes on (SIGCONT). */
  signal(program: "etcd" | "kube-apiserver", name: "SIGSTOP" | "SIGCONT"): void {
    (program === "etcd" ? this.#etcd : this.#apiServer).signal(name);
  }

  /**
   * Makes etcd forget every revision but the current one. kube-apiserver still answers from the history that it has in
   * memory, until it is restarted.
   */
  async compact(): Promise<void> {
    const status = await this.#askEtcd("maintenance/status", {});
    const { revision } = (status as { header: { revision: string } }).header;
    await this.#askEtcd("kv/compaction", { revision, physical: true });
  }

  async close(): Promise<void> {
    await this.#stopPrograms();
    await rm(this.directory, { recursive: true, force: true });
  }

  async #stopPrograms(): Promise<void> {
    await this.#apiServer.stop("SIGKILL");
    await this.#etcd.stop("SIGKILL");
  }

  /** By etcd's JSON gateway (https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway/). */
  async #askEtcd(path: string, body: object): Promise<unknown> {
    const response = await fetch(`${this.#etcdUrl}/v3/${path}`, { method: "POST", body: JSON.stringify(body) });
    const text = await response.text();
    if (!response.ok) throw new Error(`etcd: POST /v3/${path}: ${response.status} ${text}`);
    return JSON.parse(text) as unknown;
  }

  #startEtcd(): Program {
    return new Program(this.#options.assets.etcd, this.#etcdArgs, join(this.directory, "etcd.log"));
  }

  #startApiServer(): Program {
    return new Program(
      this.#options.assets.kubeApiserver,
      this.#apiServerArgs,
      join(this.directory, "kube-apiserver.log"),
    );
  }

  #ready(): Promise<void> {
    return this.#apiServer.until(() => this.#isReady());
  }

  #isReady(): Promise<boolean> {
    return new Promise((resolve, reject) => {
      request(
        `${this.url}/readyz`,
        { ca: this.caPem, agent: false, headers: { authorization: `Bearer ${this.adminToken}` } },
        (response) => {
          response.resume();
          resolve(response.statusCode === 200);
        },
      )
        .on("error", reject)
        .end();
    });
  }
}
