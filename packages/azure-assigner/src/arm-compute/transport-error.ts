import { RestError } from "@azure/core-rest-pipeline";
import type { PipelineResponse } from "@azure/core-rest-pipeline";
import { ArmError } from "../arm-problem.ts";
import type { ArmProblem } from "../arm-problem.ts";
import { armProblem } from "../arm-response.ts";
import { parseBody } from "./response-policy.ts";

/**
 * Runs an SDK call; what failed before ARM answered becomes an {@link ArmError}: `unauthenticated` when no token could be had, else `unavailable`.
 * An abort stays the signal's reason.
 */
export async function asArmError<T>(signal: AbortSignal | undefined, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (signal?.aborted) throw signal.reason;
    if (error instanceof ArmError) throw error;
    if (error instanceof RestError && error.response !== undefined)
      throw new ArmError(answered(error.response), { cause: error });
    const { name, message, code } = error as { name?: string; message?: string; code?: string };
    const authentication =
      /^(AuthenticationError|AggregateAuthenticationError|CredentialUnavailableError|AuthenticationRequiredError)$/;
    throw new ArmError(
      {
        kind: authentication.test(name ?? "") ? "unauthenticated" : "unavailable",
        status: 0,
        code: code ?? name ?? "Unknown",
        // Entra's answers go on for lines; the first names the reason.
        message: (message ?? String(error)).split(/\r?\n/, 1)[0] ?? "",
      },
      { cause: error },
    );
  }
}

/** The older kind of client throws from inside its pipeline, before our policy sees the answer. */
function answered(response: PipelineResponse): ArmProblem {
  const header = (name: string): string | undefined => response.headers.get(name);
  return armProblem({ status: response.status, header, body: parseBody(response) }, Date.now());
}
