const SHOWN = 4;

/** A client id as logs may show it: its first and last four characters. Texts shorter than eight characters or with a blank in those are left as they are. */
export function redactClientId(text: string): string {
  const head = text.slice(0, SHOWN);
  const tail = text.slice(-SHOWN);
  if (text.length < 2 * SHOWN || /\s/.test(head + tail)) return text;
  return `${head}##### REDACTED #####${tail}`;
}
