import type { KubeConfig, User } from "@kubernetes/client-node";

import { forgetful } from "./client-node-config.ts";
import { connectionFromClientNode } from "./client-node-connection.ts";
import type { Connection, ConnectionSource } from "./connection.ts";

/** Adds what the library lacks: asking anew after a 401, one question at a time, and errors that quote no credential. */
export function refreshable(config: KubeConfig): ConnectionSource {
  const user = config.getCurrentUser();
  let source = connectionFromClientNode(config);
  let running: { readonly refresh: boolean; readonly answer: Promise<Connection> } | undefined;
  return {
    server: source.server,
    proxyUrl: source.proxyUrl,
    connection({ refresh }) {
      if (running && (running.refresh || !refresh)) return running.answer;
      if (refresh) source = connectionFromClientNode(forgetful(config));
      const answer = source
        .connection({ refresh })
        .catch((error: unknown) => {
          throw explain(error, user);
        })
        .finally(() => {
          if (running?.answer === answer) running = undefined;
        });
      running = { refresh, answer };
      return answer;
    },
  };
}

/** The library's errors quote what a credential plugin printed, which may be a token; those of the system name only paths. */
function explain(error: unknown, user: User | null): Error {
  const who = `kubeconfig: credentials of user ${JSON.stringify(user?.name)}`;
  if (error instanceof Error && "syscall" in error) return new Error(`${who}: ${error.message}`, { cause: error });
  const from = user?.exec
    ? `exec ${user.exec.command}`
    : user?.authProvider
      ? `auth-provider ${user.authProvider.name}`
      : "the kubeconfig";
  return new Error(`${who}: ${from} gave none; run it by hand to see why`);
}
