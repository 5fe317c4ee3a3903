import type { ControlPlane } from "@podid/kube-control-plane";
import { readAudit } from "./audit-events.ts";
import { Refused, type Call } from "./control-call.ts";
import { matchesQuery } from "./emulator-control.ts";
import type { TcpRelay } from "./tcp-relay.ts";

/** What the control API does to a real API server below `/kube`. */
export class ControlPlaneControl {
  readonly #controlPlane: ControlPlane;
  readonly #relay: TcpRelay;
  #forgotten = 0;

  constructor(controlPlane: ControlPlane, relay: TcpRelay) {
    this.#controlPlane = controlPlane;
    this.#relay = relay;
  }

  /** @throws Refused for what is no route, and for what only the emulator can do */
  async answer(call: Call): Promise<unknown> {
    const [, what = ""] = call.parts;
    const route = `${call.method} ${what}`;
    const { peer = "", ...others } = call.body;
    if (typeof peer !== "string" || Object.keys(others).length > 0)
      throw new Refused(
        409,
        `${route}: what a real API server suffers can be limited to {"peer": "10.99.1."} alone, the beginning of clients' addresses; ` +
          `${Object.keys(others).join(", ")} needs --api-server=emulator`,
      );
    switch (route) {
      case "POST stop":
        await this.#controlPlane.stop("kube-apiserver");
        this.#relay.cut();
        return undefined;
      case "POST start":
        await this.#controlPlane.restart("kube-apiserver");
        return undefined;
      case "POST restart-etcd":
        await this.#controlPlane.restart("etcd");
        return undefined;
      case "POST compact":
        await this.#controlPlane.compact();
        return undefined;
      case "POST pause":
        this.#controlPlane.signal("kube-apiserver", "SIGSTOP");
        return undefined;
      case "POST resume":
        this.#controlPlane.signal("kube-apiserver", "SIGCONT");
        return undefined;
      case "POST cutWatches":
        return { cut: this.#relay.cut(peer) };
      case "POST stallWatches":
        this.#relay.stall(peer);
        return undefined;
      case "POST resumeWatches":
        this.#relay.resume();
        return undefined;
      case "GET audit": {
        const events = (await this.#controlPlane.audit()).slice(this.#forgotten);
        return readAudit(events).filter((entry) => matchesQuery(entry, call.query));
      }
      case "DELETE audit":
        this.#forgotten = (await this.#controlPlane.audit()).length;
        return undefined;
      case "POST faults":
      case "GET faults":
      case "DELETE faults":
      case "POST sendBookmarks":
        throw new Refused(409, `/kube/${what}: a real API server cannot do this on demand; use --api-server=emulator`);
      default:
        throw new Refused(404, `${route} is no route of the sandbox below /kube`);
    }
  }
}
