import { Server } from "node:net";
import type { FromSupervisor, ToSupervisor } from "./protocol.ts";
import { supervise } from "./supervisor.ts";

/** Runs as the first process of the sandbox's namespaces; its end is the end of everything in them. */
export function serveSuperviseCommand(): void {
  const kube = Promise.withResolvers<Server>();
  const control = Promise.withResolvers<Server>();
  const tell = (message: FromSupervisor): void => {
    if (process.connected) process.send?.(message);
  };
  const stop = (): void => process.exit(0);
  // Whoever started the sandbox has gone: so do we.
  process.once("disconnect", stop);
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, stop);
  process.on("message", (message: ToSupervisor, handle: unknown) => {
    switch (message.type) {
      case "listener":
        if (handle instanceof Server) (message.name === "kube" ? kube : control).resolve(handle);
        break;
      case "stop":
        stop();
        break;
      case "start":
        start(message).catch((error: unknown) => {
          tell({ type: "failed", message: error instanceof Error ? error.message : String(error) });
        });
        break;
      default:
        message satisfies never;
    }
  });
  tell({ type: "booted" });

  async function start({ plan, kubePort }: Extract<ToSupervisor, { type: "start" }>): Promise<void> {
    // A socket is handed out once it listens again, which may be later than the messages behind it.
    await supervise({ plan, kube: await kube.promise, control: await control.promise, kubePort, tell, stop });
  }
}
