import type { FaultMatch, KubeEmulator } from "@podid/kube-emulator";
import { Refused, type Call } from "./control-call.ts";

/** What the control API does to the emulator below `/kube`. */
export class EmulatorControl {
  readonly #emulator: Pick<KubeEmulator, "faults" | "audit">;
  readonly #rules = new Map<string, () => void>();
  #nextRule = 1;

  constructor(emulator: Pick<KubeEmulator, "faults" | "audit">) {
    this.#emulator = emulator;
  }

  /** @throws Refused for what is no route, and for what only a real server can do */
  answer(call: Call): unknown {
    const { faults, audit } = this.#emulator;
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
      case "POST stop":
      case "POST refuse":
        faults.refuse();
        return undefined;
      case "POST start":
      case "POST accept":
        faults.accept();
        return undefined;
      case "POST restart-etcd":
        throw new Refused(409, "the emulator has no etcd: use --api-server=real");
      case "GET audit":
        return audit.entries.filter((entry) => matchesQuery(entry, call.query));
      case "DELETE audit":
        audit.clear();
        return undefined;
      default:
        throw new Refused(404, `${call.method} /kube/${what} is no route of the sandbox`);
    }
  }
}

/** Whether the fields have the values of the query, which are text. */
export function matchesQuery(entry: object, query: URLSearchParams): boolean {
  const fields = new Map<string, unknown>(Object.entries(entry));
  return [...query].every(([field, value]) => {
    const have = fields.get(field);
    return typeof have === "string" ? have === value : JSON.stringify(have) === value;
  });
}
