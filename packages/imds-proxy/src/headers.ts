/** The few request headers that mean anything to a metadata service. */
export interface HeaderFacts {
  /** Values of `Metadata`; more than one is refused. */
  readonly metadata: readonly string[];
  readonly forwarded: boolean;
  readonly hosts: number;
  /** A body was announced (a Content-Length above zero, or any Transfer-Encoding). */
  readonly body: boolean;
}

/** @param rawHeaders names and values in turn, as Node's `rawHeaders` */
export function headerFacts(rawHeaders: readonly string[]): HeaderFacts {
  const metadata: string[] = [];
  let forwarded = false;
  let hosts = 0;
  let body = false;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    const value = rawHeaders[index + 1] ?? "";
    // Comparing lengths first keeps the many irrelevant headers of a request from being lower-cased.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === "host") hosts++;
        break;
      case 8:
        if (name.toLowerCase() === "metadata") metadata.push(value);
        break;
      case 14:
        if (name.toLowerCase() === "content-length" && value.trim() !== "0") body = true;
        break;
      case 15:
        if (name.toLowerCase() === "x-forwarded-for") forwarded = true;
        break;
      case 17:
        if (name.toLowerCase() === "transfer-encoding") body = true;
        break;
      default:
    }
  }
  return { metadata, forwarded, hosts, body };
}
