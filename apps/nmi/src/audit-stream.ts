import { createWriteStream } from "node:fs";
import type { Writable } from "node:stream";

export interface AuditStream {
  write(line: string): void;
  /** Resolves when all of it is written. */
  close(): Promise<void>;
}

/** A reader that has stopped reading must not fill the memory. */
const MOST_PENDING_BYTES = 8 << 20;

/**
 * Opens the audit's own stream: standard output, or a file to which lines are appended and which only NMI's user may read.
 * @param target value of `--audit-log`
 * @param onProblem told when lines are lost: once, and again after it has worked in between
 * @returns undefined for `off`
 */
export function openAudit(target: string, onProblem: (why: string) => void): AuditStream | undefined {
  if (target === "off") return undefined;
  const file = target === "stdout" ? undefined : createWriteStream(target, { flags: "a", mode: 0o600 });
  const stream: Writable = file ?? process.stdout;
  let lost = false;
  const lose = (why: string): void => {
    if (!lost) onProblem(why);
    lost = true;
  };
  const onError = (error: Error): void => lose(error.message);
  stream.on("error", onError);
  return {
    write: (line) => {
      if (stream.writableLength > MOST_PENDING_BYTES) return lose("what reads the audit does not keep up");
      if (file?.destroyed === true) return lose(`${target} is closed`);
      stream.write(line, (error) => {
        if (error === null || error === undefined) lost = false;
      });
    },
    close: () =>
      new Promise((resolve) => {
        const done = (): void => {
          stream.off("error", onError);
          resolve();
        };
        if (file === undefined) return void process.stdout.write("", done);
        file.once("close", done);
        file.end();
      }),
  };
}
