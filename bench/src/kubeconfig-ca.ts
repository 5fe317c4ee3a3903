import { readFileSync } from "node:fs";

/** PEM of the authority that a kubeconfig of the sandbox trusts. */
export function certificateAuthorityOf(file: string): string {
  const data = /certificate-authority-data: (\S+)/.exec(readFileSync(file, "utf8"))?.[1];
  if (data === undefined) throw new Error(`${file} has no certificate-authority-data`);
  return Buffer.from(data, "base64").toString();
}
