import type { RequestFacts } from "../faults.ts";
import type { Service } from "../http/gate.ts";
import type { WireReply, WireRequest } from "../http/wire.ts";
import type { AzureState } from "../state/azure-state.ts";
import type { SigningKey } from "../entra/signing-key.ts";

export class ArmService implements Service {
  readonly name = "arm";
  constructor(_o: { state: AzureState; key: SigningKey }) {}
  describe(request: WireRequest): RequestFacts {
    return { service: this.name, method: request.method, path: request.path, operation: "unknown" };
  }
  answer(): Promise<WireReply> {
    return Promise.resolve({ status: 501, headers: [], body: "" });
  }
  namedError(): WireReply | undefined {
    return undefined;
  }
}
