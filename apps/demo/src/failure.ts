const LONGEST = 600;

/** What a server said with a status other than 200: `403 Forbidden: invalid_request: Identity not found`. */
export async function describeResponse(response: Response): Promise<string> {
  const status = `${response.status} ${response.statusText}`.trim();
  const explanation = explain(await response.text());
  return explanation === "" ? status : `${status}: ${explanation}`;
}

/** What a thrown error says, with the server's status and own words where one of its causes holds them. */
export function describeError(error: unknown): string {
  let message: string | undefined;
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const status = statusOf(cause);
    const description = serverWords(cause.message);
    if (status !== undefined) return clean(`${status}: ${description}`);
    // fetch() says only "fetch failed"; the reason stands in its innermost cause.
    if (description !== "") message = description;
  }
  return clean(message ?? String(error));
}

function explain(body: string): string {
  try {
    const { error, error_description: description } = JSON.parse(body) as {
      error?: unknown;
      error_description?: unknown;
    };
    const words = [error, description].filter((word) => typeof word === "string" && word !== "");
    if (words.length > 0) return clean(words.join(": "));
  } catch {
    // Not JSON: shown as it is.
  }
  return clean(body);
}

/** `status` of MSAL's ServerError, `statusCode` of the ARM client's RestError. */
function statusOf(error: Error): number | undefined {
  for (const key of ["statusCode", "status"]) {
    const value: unknown = Reflect.get(error, key);
    if (typeof value === "number") return value;
  }
  return undefined;
}

/** MSAL wraps `error_description` as `Error(s): … - Description: TEXT - Correlation ID: …`. */
function serverWords(message: string): string {
  const [, description] = /- Description: (.*) - Correlation ID: /s.exec(message) ?? [];
  return description ?? message;
}

/** One line, not too long, and without anything that looks like a token, wherever it came from. */
function clean(text: string): string {
  const line = text
    .replaceAll(/eyJ[\w-]+\.[\w-]+\.[\w-]*/g, "(token)")
    // oxlint-disable-next-line no-control-regex
    .replaceAll(/[\u0000-\u0020\u007f]+/g, " ")
    .trim();
  return line.length > LONGEST ? `${line.slice(0, LONGEST)}…` : line;
}
