import { readFileSync } from "node:fs";

/**
 * Client id or ARM id of the identity that the node's components work with, from the cloud provider's azure.json; of that file
 * nothing else is used, and it may be absent.
 *
 * @throws {Error} when the file is there and cannot be read: then it is not known which identity has to be refused
 */
export function clusterIdentity(path: string): string | undefined {
  if (path === "") return undefined;
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new Error(
      `--node-cloudconfig: ${path} cannot be read (${code ?? message}); make it readable, or pass an empty one`,
      {
        cause: error,
      },
    );
  }
  let id: unknown;
  try {
    id = (JSON.parse(text) as Readonly<Record<string, unknown>>)["userAssignedIdentityID"];
  } catch {
    // Its text holds secrets, and V8's message would quote it.
    throw new Error(`--node-cloudconfig: ${path} is not JSON; correct it, or pass an empty one`);
  }
  return typeof id === "string" && id.trim() !== "" ? id.trim() : undefined;
}
