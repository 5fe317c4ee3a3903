import { createServer, Server } from "node:net";
import { spawnIn } from "./shell.ts";

/** Hidden command of this program that {@link listenIn} runs inside of a namespace. */
export const LISTEN_COMMAND = "listen-for-sandbox";

/**
 * A listening socket of another network namespace, accepted from here: a short-lived child opens it there and hands it
 * over. A socket stays in the namespace that it was made in, so no relay is needed.
 *
 * @throws Error when the address cannot be had
 */
export async function listenIn(namespace: string, host: string, port: number): Promise<Server> {
  const child = spawnIn(namespace, process.execPath, [process.argv[1] ?? "", LISTEN_COMMAND, host, String(port)], {
    stdio: ["ignore", "inherit", "pipe", "ipc"],
  });
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (said += text));
  return new Promise((resolve, reject) => {
    child.once("message", (_, handle) => {
      child.disconnect();
      if (handle instanceof Server) resolve(handle);
      else reject(new Error(`no socket came from namespace ${namespace}`));
    });
    child.once("exit", (code) =>
      reject(new Error(`cannot listen on ${host}:${port} in ${namespace} (exit code ${code}): ${said.trim()}`)),
    );
  });
}

/** The child's part. Ends when the parent has taken the socket. */
export function serveListenCommand(args: readonly string[]): void {
  const [host = "", port = ""] = args;
  const server = createServer();
  server.listen({ host, port: Number(port), backlog: 511 }, () => {
    process.send?.("listening", server, {}, (error) => {
      if (error) throw error;
    });
  });
  process.once("disconnect", () => process.exit(0));
}
