import type { FaultMatch } from "@podid/kube-emulator";
import type { ApiServer } from "./api-server.ts";
import { Refused, type Call } from "./control-call.ts";

/** The part of the control API below `/kube`: what goes wrong with the API server, and what was asked of it. */
export class KubeControl {
  readonly #api: ApiServer;
  readonly #rules = new Map<string, () => void>();
  #nextRule = 1;

  constructor(api: ApiServer) {
    this.#api = api;
  }

  /** @throws Refused for what is no route, and for all of them when the API server is a real one */
  answer(call: Call): unknown {
    const { faults, audit } = this.#api;
    if (faults === undefined || audit === undefined)
      throw new Refused(409, "this API server is a real one: it has no faults to set");
    const [, what = "", id = ""] = call.parts;
    const match = call.body as FaultMatch & { how?: "close" | "reset" };
    switch (`${call.method} ${what}`) {
      case "POST faults": {
        const rule = `rule-${this.#nextRule++}`;
        this.#rules.set(rule, faults.add(call.body));
        return { id: rule };
      }
      case "GET faults":
        return [...this.#rules.keys()];
      case "DELETE faults":
        if (id === "") {
          faults.clear();
          this.#rules.clear();
        } else {
          this.#rules.get(id)?.();
          if (!this.#rules.delete(id)) throw new Refused(404, `fault ${id} does not exist`);
        }
        return undefined;
      case "POST cutWatches": {
        const { how, ...rest } = match;
        return { cut: faults.cutWatches(rest, how) };
      }
      case "POST stallWatches":
        faults.stallWatches(match);
        return undefined;
      case "POST resumeWatches":
        faults.resumeWatches();
        return undefined;
      case "POST sendBookmarks":
        faults.sendBookmarks();
        return undefined;
      case "POST compact":
        faults.compact();
        return undefined;
      case "POST pause":
        faults.pause();
        return undefined;
      case "POST resume":
        faults.resume();
        return undefined;
      case "POST refuse":
        faults.refuse();
        return undefined;
      case "POST accept":
        faults.accept();
        return undefined;
      case "GET audit":
        return audit.find(Object.fromEntries(call.query));
      case "DELETE audit":
        audit.clear();
        return undefined;
      default:
        throw new Refused(404, `${call.method} /kube/${what} is no route of the sandbox`);
    }
  }
}
