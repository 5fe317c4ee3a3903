import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { FABRIC_ADDRESS } from "./topology.ts";

/** Names that lead to the emulated cloud. */
const CLOUD_HOSTS = ["management.azure.com", "login.microsoftonline.com", "login.windows.net", "sts.windows.net"];

/** Where distributions keep the authorities they trust, as one file. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** /etc/hosts of everything in the sandbox. */
export function hostsFile(names: readonly (readonly [address: string, name: string])[]): string {
  const lines = [
    "127.0.0.1 localhost",
    "::1 localhost",
    `${FABRIC_ADDRESS} ${CLOUD_HOSTS.join(" ")}`,
    `${FABRIC_ADDRESS} kubernetes kubernetes.default.svc`,
  ];
  return [...lines, ...names.map(([address, name]) => `${address} ${name}`), ""].join("\n");
}

export interface CaFiles {
  /** The emulated cloud's authority alone. */
  readonly ca: string;
  /** The system's authorities and the emulated one, for clients that take one file for all. */
  readonly bundle: string;
}

export function writeCaFiles(directory: string, caPem: string): CaFiles {
  const files = { ca: join(directory, "ca.pem"), bundle: join(directory, "ca-bundle.pem") };
  const system = SYSTEM_BUNDLES.find((file) => existsSync(file));
  const trusted = system === undefined ? rootCertificates.join("\n") : readFileSync(system, "utf8");
  writeFileSync(files.ca, caPem);
  writeFileSync(files.bundle, `${trusted.trimEnd()}\n${caPem}`);
  return files;
}

/** Environment in which clients of the usual kinds trust the emulated cloud, and no proxy of the host's comes between. */
export function cloudEnvironment(base: NodeJS.ProcessEnv, files: CaFiles): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(base)) if (!/^(https?|all|ftp)_proxy$/i.test(name)) env[name] = value;
  return {
    ...env,
    // Node adds this one to its own; the others replace.
    NODE_EXTRA_CA_CERTS: files.ca,
    SSL_CERT_FILE: files.bundle,
    REQUESTS_CA_BUNDLE: files.bundle,
    CURL_CA_BUNDLE: files.bundle,
  };
}
