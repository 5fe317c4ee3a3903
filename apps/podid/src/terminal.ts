import type { Writable } from "node:stream";

/** Output for people: colours only where somebody can see them. */
export class Terminal {
  readonly #stream: Writable & { readonly isTTY?: boolean };
  readonly #colours: boolean;

  /** https://no-color.org: any value of NO_COLOR switches colours off. */
  constructor(stream: Writable & { readonly isTTY?: boolean }, env: NodeJS.ProcessEnv = process.env) {
    this.#stream = stream;
    this.#colours = stream.isTTY === true && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";
  }

  line(text: string): void {
    this.#stream.write(`${text}\n`);
  }

  dim(text: string): string {
    return this.#paint("2", text);
  }

  bold(text: string): string {
    return this.#paint("1", text);
  }

  good(text: string): string {
    return this.#paint("32", text);
  }

  bad(text: string): string {
    return this.#paint("31", text);
  }

  #paint(code: string, text: string): string {
    return this.#colours ? `\u001B[${code}m${text}\u001B[0m` : text;
  }
}
