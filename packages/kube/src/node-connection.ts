import { CachedFile } from "./cached-file.ts";
import { systemClock } from "./clock.ts";
import type { Clock } from "./clock.ts";
import type { ConnectionSource } from "./connection.ts";
import type { NodeContext } from "./node-kubeconfig-file.ts";

/** Files are read again at most ten seconds after they changed, and at once when a refresh is wanted. */
export function nodeConnection({ cluster, user }: NodeContext, clock: Clock = systemClock): ConnectionSource {
  const readCa = content(cluster["certificate-authority-data"], cluster["certificate-authority"], clock);
  const readCert = content(user["client-certificate-data"], user["client-certificate"], clock);
  const readKey = content(user["client-key-data"], user["client-key"], clock);
  const readToken = user.tokenFile ? content(undefined, user.tokenFile, clock) : () => Promise.resolve(user.token);
  return {
    server: cluster.server,
    async connection({ refresh }) {
      const [ca, cert, key, token] = await Promise.all([
        readCa(refresh),
        readCert(refresh),
        readKey(refresh),
        readToken(refresh),
      ]);
      const bearer = token?.trim();
      return { headers: bearer ? { authorization: `Bearer ${bearer}` } : {}, tls: { ca, cert, key } };
    },
  };
}

function content(
  data: string | undefined,
  path: string | undefined,
  clock: Clock,
): (refresh: boolean) => Promise<string | undefined> {
  if (data) {
    const text = Buffer.from(data, "base64").toString("utf8");
    return () => Promise.resolve(text);
  }
  if (!path) return () => Promise.resolve(undefined);
  const file = new CachedFile(path, clock);
  return (refresh) => file.read(refresh);
}
