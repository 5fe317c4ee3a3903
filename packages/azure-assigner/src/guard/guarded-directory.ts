import { parseIdentityResourceId } from "@podid/crd-types";
import type { IdentityDirectory, IdentityFacts } from "../arm.ts";
import type { GuardedArm } from "./guarded-arm.ts";

/** The identity provider is asked within the same budget as ARM: its answers come through ARM. */
export class GuardedDirectory implements IdentityDirectory {
  readonly #directory: IdentityDirectory;
  readonly #arm: Pick<GuardedArm, "admit">;

  constructor(directory: IdentityDirectory, arm: Pick<GuardedArm, "admit">) {
    this.#directory = directory;
    this.#arm = arm;
  }

  async find(resourceId: string, signal?: AbortSignal): Promise<IdentityFacts | undefined> {
    const parsed = parseIdentityResourceId(resourceId);
    if (parsed.ok) await this.#arm.admit(parsed.value.subscriptionId, signal);
    return await this.#directory.find(resourceId, signal);
  }
}
