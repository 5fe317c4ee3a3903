/** Bounds how many requests wait, per pod and in all: memory, and one pod's share of it. */
export class ParkingLot {
  readonly #perKey: number;
  readonly #total: number;
  readonly #counts = new Map<string, number>();
  #size = 0;

  constructor(options: { readonly perKey: number; readonly total: number }) {
    this.#perKey = options.perKey;
    this.#total = options.total;
  }

  get size(): number {
    return this.#size;
  }

  /** @returns how to leave, or undefined when it is full */
  enter(key: string): (() => void) | undefined {
    const count = this.#counts.get(key) ?? 0;
    if (count >= this.#perKey || this.#size >= this.#total) return undefined;
    this.#counts.set(key, count + 1);
    this.#size++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.#size--;
      const rest = (this.#counts.get(key) ?? 1) - 1;
      if (rest === 0) this.#counts.delete(key);
      else this.#counts.set(key, rest);
    };
  }
}
