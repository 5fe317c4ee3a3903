/** A program of the iptables family failed; `message` holds what it said. */
export class IptablesError extends Error {
  /** Exit code; 127: not installed. */
  readonly code: number;
  readonly stderr: string;

  constructor(what: string, code: number, stderr: string) {
    const said = stderr.trim();
    super(said === "" ? `${what} (exit code ${code})` : `${what} (exit code ${code}): ${said}`);
    this.name = "IptablesError";
    this.code = code;
    this.stderr = stderr;
  }
}
