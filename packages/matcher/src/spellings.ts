/** Values of the label that are in use, by what they have in common when casing and blanks do not count. */
export class Spellings {
  readonly #byPlain = new Map<string, Set<string>>();

  add(value: string): void {
    const plain = plainOf(value);
    const known = this.#byPlain.get(plain);
    if (known === undefined) this.#byPlain.set(plain, new Set([value]));
    else known.add(value);
  }

  delete(value: string): void {
    const plain = plainOf(value);
    const known = this.#byPlain.get(plain);
    if (known?.delete(value) === true && known.size === 0) this.#byPlain.delete(plain);
  }

  /** Other spellings of a value, in order. */
  othersOf(value: string): string[] {
    return [...(this.#byPlain.get(plainOf(value)) ?? [])].filter((other) => other !== value).sort();
  }
}

function plainOf(value: string): string {
  return value.trim().toLowerCase();
}
