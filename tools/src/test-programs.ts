import { join } from "node:path";
import { findNativeTools } from "@podid/native-tools";

/** Before any test: programs of the system that tests run. A Debian or Ubuntu that lacks one gets it unpacked, not installed. */
export async function setup(): Promise<void> {
  const { path, unpacked } = await findNativeTools({ programs: { openssl: "openssl" } });
  process.env["PATH"] = path;
  if (unpacked !== undefined) process.env["OPENSSL_CONF"] = join(unpacked, "root/etc/ssl/openssl.cnf");
}
