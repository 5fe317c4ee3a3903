#!/usr/bin/env node
import { runCli } from "./cli.ts";

try {
  const emulator = await runCli(process.argv.slice(2), (text) => void process.stdout.write(text));
  const stop = (): void => void emulator?.close().then(() => process.exit(0));
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
} catch (error) {
  process.stderr.write(`kube-emulator: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
