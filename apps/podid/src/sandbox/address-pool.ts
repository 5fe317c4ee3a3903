/** Addresses of a node's pods. Goes round, so that an address rests as long as possible before it is used again. */
export class AddressPool {
  readonly #prefix: string;
  readonly #taken = new Set<string>();
  #last = 1;

  /** `prefix`: the first three parts with their dots; .1 is the gateway's. */
  constructor(prefix: string) {
    this.#prefix = prefix;
  }

  /** @throws Error when all 253 are taken */
  take(): string {
    for (let tries = 0; tries < 253; tries++) {
      this.#last = this.#last >= 254 ? 2 : this.#last + 1;
      const address = `${this.#prefix}${this.#last}`;
      if (this.#taken.has(address)) continue;
      this.#taken.add(address);
      return address;
    }
    throw new Error(`no address is left in ${this.#prefix}0/24: delete pods of this node`);
  }

  release(address: string): void {
    this.#taken.delete(address);
  }
}
