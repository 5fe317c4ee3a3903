import { execFile } from "node:child_process";
import { promisify } from "node:util";

const execute = promisify(execFile);

export interface Finished {
  readonly code: number;
  /** Standard output and standard error. */
  readonly output: string;
}

/** Runs a program as a user's shell would: without what the surrounding `npm run` put into the environment about itself. */
export async function command(file: string, args: readonly string[], cwd: string): Promise<Finished> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !/^npm_(?:lifecycle|package|config_local_prefix|command|execpath|node_execpath)/.test(name),
    ),
  );
  try {
    const { stdout, stderr } = await execute(file, args, { cwd, env, maxBuffer: 64 * 1024 * 1024 });
    return { code: 0, output: stdout + stderr };
  } catch (error) {
    const { code, stdout = "", stderr = "" } = error as { code?: unknown; stdout?: string; stderr?: string };
    return { code: typeof code === "number" ? code : -1, output: `${stdout}${stderr}` || String(error) };
  }
}

/** Like `command`, for what must succeed. @throws with the output when it does not */
export async function succeed(file: string, args: readonly string[], cwd: string): Promise<string> {
  const { code, output } = await command(file, args, cwd);
  if (code !== 0) throw new Error(`${file} ${args.join(" ")} ended with ${code}:\n${output}`);
  return output;
}
