import { pino } from "pino";
import type { Logger } from "pino";
import { textLine } from "./text-line.ts";

export type { Logger };

export interface LoggerOptions {
  /** Name of the program, in every line. */
  readonly component: string;
  readonly format: "text" | "json";
  /** klog's scale: 0 info, from 1 debug, from 5 trace. */
  readonly verbosity?: number;
  /** Receives one line with its line end; standard error when absent. */
  readonly write?: (line: string) => void;
}

/** A structured logger to standard error. Values never to be logged are the caller's duty: nothing here redacts. */
export function createLogger({ component, format, verbosity = 0, write = writeStderr }: LoggerOptions): Logger {
  return pino(
    {
      level: verbosity >= 5 ? "trace" : verbosity >= 1 ? "debug" : "info",
      base: { component },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: "msg",
    },
    { write: format === "json" ? write : (line: string) => write(textLine(line)) },
  );
}

function writeStderr(line: string): void {
  process.stderr.write(line);
}
