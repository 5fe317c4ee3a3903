/** The few request headers that mean anything to a metadata service. */
export interface HeaderFacts {
  /** Value of the first `Metadata`. */
  readonly metadata: string | undefined;
  /** A header that must be unique and is not. */
  readonly duplicate: "Host" | "Metadata" | "podname" | "podns" | undefined;
  readonly forwarded: boolean;
  /** A body was announced (a Content-Length above zero, or any Transfer-Encoding). */
  readonly body: boolean;
  /** Bytes of that body; undefined where only its end will tell. */
  readonly bodyLength: number | undefined;
  /** Upstream's headers of the host token endpoint. */
  readonly podName: string | undefined;
  readonly podNamespace: string | undefined;
}

/** @param rawHeaders names and values in turn, as Node's `rawHeaders` */
export function headerFacts(rawHeaders: readonly string[]): HeaderFacts {
  let metadata: string | undefined;
  let duplicate: HeaderFacts["duplicate"];
  let forwarded = false;
  let hosts = 0;
  let body = false;
  let bodyLength: number | undefined;
  let coded = false;
  let podName: string | undefined;
  let podNamespace: string | undefined;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    const value = rawHeaders[index + 1] ?? "";
    // Comparing lengths first keeps the many irrelevant headers of a request from being lower-cased.
    switch (name.length) {
      case 4:
        if (name.toLowerCase() === "host" && ++hosts > 1) duplicate = "Host";
        break;
      case 5:
        if (name.toLowerCase() !== "podns") break;
        if (podNamespace !== undefined) duplicate ??= "podns";
        podNamespace = value.trim();
        break;
      case 7:
        if (name.toLowerCase() !== "podname") break;
        if (podName !== undefined) duplicate ??= "podname";
        podName = value.trim();
        break;
      case 8:
        if (name.toLowerCase() !== "metadata") break;
        if (metadata === undefined) metadata = value;
        else duplicate ??= "Metadata";
        break;
      case 14:
        if (name.toLowerCase() !== "content-length" || value.trim() === "0") break;
        // Two lengths are none.
        bodyLength = body ? undefined : Number(value);
        body = true;
        break;
      case 15:
        if (name.toLowerCase() === "x-forwarded-for") forwarded = true;
        break;
      case 17:
        if (name.toLowerCase() !== "transfer-encoding") break;
        body = true;
        coded = true;
        break;
      default:
    }
  }
  return { metadata, duplicate, forwarded, body, bodyLength: coded ? undefined : bodyLength, podName, podNamespace };
}
