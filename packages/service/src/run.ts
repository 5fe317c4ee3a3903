/**
 * Runs a program until it returns its exit code; SIGTERM and SIGINT abort the signal it is given, a second one ends the process at once.
 * What `main` throws is a bug or an I/O failure that it chose not to handle: message to standard error, exit code 1.
 */
export function runMain(main: (signal: AbortSignal) => Promise<number>): void {
  const controller = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(128 + (name === "SIGTERM" ? 15 : 2));
      controller.abort(name);
    });
  }
  main(controller.signal).then(
    (code) => process.exit(code),
    (error: unknown) => {
      process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
      process.exit(1);
    },
  );
}
