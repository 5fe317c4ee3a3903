import { execFile } from "node:child_process";

/** Standard output of a program. Rejects with what it said when it fails. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly cwd?: string } = {},
): Promise<string> {
  return new Promise((resolve, reject) => {
    const environment = { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" };
    execFile(command, [...args], { ...options, env: environment, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else
        reject(
          new Error(`${command} failed: ${stderr.trim() === "" ? error.message : stderr.trim()}`, { cause: error }),
        );
    });
  });
}
