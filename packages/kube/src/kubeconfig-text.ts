import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";

import { load } from "js-yaml";

/** A kubeconfig as text; relative paths in it start at `directory`. */
export interface KubeConfigText {
  readonly path: string;
  readonly directory: string;
  readonly text: string;
}

export type Entry = Readonly<Record<string, unknown>>;
type Named<K extends string> = { readonly name?: string } & { readonly [key in K]?: Entry | null };

/** The parts of a kubeconfig that both readers look at; what is in an entry is not checked yet. */
export interface KubeConfigContent {
  readonly "current-context"?: string;
  readonly clusters?: readonly Named<"cluster">[] | null;
  readonly users?: readonly Named<"user">[] | null;
  readonly contexts?: readonly Named<"context">[] | null;
}

/** Throws an Error with `advice` when the file cannot be read. */
export function readKubeConfigText(path: string, advice: string): KubeConfigText {
  try {
    return { path, directory: dirname(resolve(path)), text: readFileSync(path, "utf8") };
  } catch (cause) {
    throw new Error(`cannot read the kubeconfig ${path}: ${(cause as Error).message}; ${advice}`, { cause });
  }
}

/** Throws an Error without a word of the text, which may hold keys. */
export function parseKubeConfigText({ path, text }: KubeConfigText): KubeConfigContent {
  let content: unknown;
  try {
    content = load(text);
  } catch (cause) {
    // js-yaml's message quotes the source; its reason and line do not.
    const { reason, mark } = cause as { reason?: string; mark?: { line?: number } };
    // oxlint-disable-next-line preserve-caught-error -- for the same reason
    throw new Error(
      `${path}: not YAML${mark?.line === undefined ? "" : `, line ${mark.line + 1}`}: ${reason ?? "unreadable"}; fix the kubeconfig`,
    );
  }
  if (typeof content !== "object" || content === null || Array.isArray(content))
    throw new Error(
      `${path}: no kubeconfig but ${content === null ? "null" : typeof content}; name a file with clusters, users and contexts`,
    );
  return content;
}
