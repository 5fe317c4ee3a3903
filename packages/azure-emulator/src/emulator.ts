import { mkdir, writeFile } from "node:fs/promises";
import type { Server } from "node:net";
import { join } from "node:path";
import type { KeyPair } from "@podid/throwaway-ca";
import { ArmService } from "./arm/arm-service.ts";
import type { Clock } from "./clock.ts";
import { systemClock } from "./clock.ts";
import { ControlService } from "./control/control-service.ts";
import { issueAccessToken } from "./entra/access-token.ts";
import { ALL_LOGIN_HOSTS, isLoginHost } from "./entra/discovery.ts";
import { EntraService } from "./entra/entra-service.ts";
import type { FetchJson } from "./entra/federated-assertion.ts";
import { fetchJson } from "./entra/fetch-json.ts";
import { SigningKey } from "./entra/signing-key.ts";
import { Gate } from "./http/gate.ts";
import { Listener } from "./http/listener.ts";
import type { ScheduledEvents } from "./imds/scheduled-events.ts";
import { ImdsService } from "./imds/imds-service.ts";
import { RequestLog } from "./request-log.ts";
import { AzureState } from "./state/azure-state.ts";
import type { Seed } from "./state/seed.ts";

/** ARM's hosts in the public and sovereign clouds. */
const MANAGEMENT_HOSTS = [
  "management.azure.com",
  "management.usgovcloudapi.net",
  "management.chinacloudapi.cn",
  "management.microsoftazure.de",
];

export interface AzureEmulatorOptions {
  /** Address to listen on; default `127.0.0.1`. */
  readonly host?: string;
  /** TLS port of ARM and Entra; default: any free one. */
  readonly port?: number;
  /** Port of the control API; default: any free one. */
  readonly controlPort?: number;
  readonly seed?: Seed;
  /** Epoch milliseconds; default: the system's clock. */
  readonly now?: () => number;
  /** Timers for latency and delays; default: the system's. */
  readonly setTimeout?: Clock["setTimeout"];
  /** Folder that the CA's certificate is written to, as `ca.pem`; made when missing. */
  readonly caDirectory?: string;
  /** Further names and IP addresses for the TLS certificate. */
  readonly certificateHosts?: readonly string[];
  /** PEM of an RSA private key that signs access tokens, to have the same one again; default: a new one. */
  readonly signingKey?: string;
  /** How documents of federation issuers are fetched; default: HTTP(S) with `settings.issuers`. */
  readonly fetchJson?: FetchJson;
}

export interface ImdsHandle {
  /** `http://ADDRESS:PORT`; of a handed-over socket the address it listens on. */
  readonly url: string;
  /** Scheduled events of this machine. */
  readonly events: ScheduledEvents;
  close(): Promise<void>;
}

export interface AzureEmulator {
  /** PEM of the throw-away certificate authority that clients must trust. */
  readonly caPem: string;
  /** Where the CA's certificate was written; undefined without `caDirectory`. */
  readonly caFile: string | undefined;
  /** TLS port of ARM and Entra. */
  readonly port: number;
  readonly controlUrl: string;
  readonly state: AzureState;
  readonly requests: RequestLog;
  /**
   * Starts the IMDS of one machine: `machineId` is the ARM id of a VM or scale set instance, or a node's providerID.
   * A handed-over server must be listening already; it is closed with the IMDS.
   * @throws Error when there is no such machine.
   */
  startImds(
    machineId: string,
    o?: { readonly host?: string; readonly port?: number } | { readonly server: Server },
  ): Promise<ImdsHandle>;
  /** Serves ARM and Entra on a further listening socket; it is closed with the emulator. */
  acceptTls(server: Server): void;
  /** Serves the control API on a further listening socket; it is closed with the emulator. */
  acceptControl(server: Server): void;
  /** An access token of a known principal (object id, client id or ARM id), for tests that need no sign-in. */
  issueToken(o: { readonly principal: string; readonly resource: string }): Promise<string>;
  close(): Promise<void>;
}

/** Starts Entra and ARM behind one TLS listener, told apart by host name, and the control API. IMDS starts per machine. */
export async function startAzureEmulator(o: AzureEmulatorOptions = {}): Promise<AzureEmulator> {
  const clock: Clock = { now: o.now ?? systemClock.now, setTimeout: o.setTimeout ?? systemClock.setTimeout };
  const host = o.host ?? "127.0.0.1";
  const state = new AzureState(clock);
  if (o.seed !== undefined) state.seed(o.seed);
  const requests = new RequestLog();
  const gate = new Gate({ state, log: requests, clock });
  const key = new SigningKey(clock.now, o.signingKey);
  const entra = new EntraService({ state, key, fetchJson: o.fetchJson ?? fetchJson });
  const arm = new ArmService({ state, key });
  const credentials = await issueCertificate([
    ...MANAGEMENT_HOSTS,
    ...ALL_LOGIN_HOSTS,
    "localhost",
    "127.0.0.1",
    ...(o.certificateHosts ?? []),
  ]);

  const tls = new Listener((message, response) => {
    void gate.serve(belongsToEntra(message.headers.host ?? "", message.url ?? "/") ? entra : arm, message, response);
  }, credentials);
  const machines = new Set<Listener>();
  const startImds: AzureEmulator["startImds"] = async (machineId, where = {}) => {
    const machine = state.machine(machineId);
    if (machine === undefined)
      throw new Error(
        `machineId "${machineId}" is no VM or scale set instance of the emulator; add it to virtualMachines or scaleSets`,
      );
    const service = new ImdsService({ state, key, machineId: machine.id });
    const listener = new Listener((message, response) => void gate.serve(service, message, response));
    machines.add(listener);
    const url = await listenOrAccept(listener, where);
    return {
      url,
      events: service.events,
      close: async () => {
        machines.delete(listener);
        await listener.close();
      },
    };
  };
  const control = new ControlService({ state, requests, caPem: credentials.caPem, startImds });
  const controlListener = new Listener((message, response) => void control.serve(message, response));

  const caFile = o.caDirectory === undefined ? undefined : join(o.caDirectory, "ca.pem");
  if (o.caDirectory !== undefined && caFile !== undefined) {
    await mkdir(o.caDirectory, { recursive: true });
    await writeFile(caFile, credentials.caPem);
  }
  const port = await tls.listen(host, o.port ?? 0);
  const controlPort = await controlListener.listen(host, o.controlPort ?? 0);
  return {
    caPem: credentials.caPem,
    caFile,
    port,
    controlUrl: `http://${host}:${controlPort}`,
    state,
    requests,
    startImds,
    acceptTls: (server) => tls.accept(server),
    acceptControl: (server) => controlListener.accept(server),
    async issueToken({ principal, resource }) {
      const known = state.principal(principal);
      if (known === undefined)
        throw new Error(
          `principal "${principal}" is nobody's object id, client id or ARM id; add it to the state first`,
        );
      const lifetimeS = state.settings.tokenSeconds.app;
      return (
        await issueAccessToken({ key, principal: known, resource, proof: "assertion", lifetimeS, now: clock.now() })
      ).text;
    },
    async close() {
      await Promise.all([tls.close(), controlListener.close(), ...[...machines].map((listener) => listener.close())]);
    },
  };
}

/** A server certificate from an authority that nobody can issue more with. */
async function issueCertificate(hosts: readonly string[]): Promise<KeyPair & { readonly caPem: string }> {
  // Loading it takes longer than the rest of the start, so it comes when the signing key is already in the making.
  const { createAuthority } = await import("@podid/throwaway-ca");
  // Certificates are checked against the real clock by everybody else.
  const authority = await createAuthority({ name: "azure-emulator throw-away CA", now: Date.now() });
  return { caPem: authority.caPem, ...(await authority.issue({ commonName: "azure-emulator", hosts })) };
}

async function listenOrAccept(
  listener: Listener,
  where: { readonly host?: string; readonly port?: number } | { readonly server: Server },
): Promise<string> {
  if (!("server" in where)) {
    const host = where.host ?? "127.0.0.1";
    return `http://${host}:${await listener.listen(host, where.port ?? 0)}`;
  }
  listener.accept(where.server);
  const address = where.server.address();
  return typeof address === "object" && address !== null
    ? `http://${address.address}:${address.port}`
    : `unix:${String(address)}`;
}

const ARM_PATHS = /^\/+(subscriptions|providers|tenants|metadata)(\/|\?|$)/i;

/** By host name where it is one of Azure's, else by path, so that `https://localhost:PORT` is both. */
function belongsToEntra(host: string, url: string): boolean {
  const name = host.toLowerCase().replace(/:\d+$/, "");
  if (isLoginHost(name)) return true;
  return !MANAGEMENT_HOSTS.includes(name) && !ARM_PATHS.test(url);
}
