/** No API object is larger than etcd's request limit (1.5 MiB by default); a line beyond this is not a watch. */
const LINE_LIMIT = 64 * 1024 * 1024;

/**
 * Bytes to JSON values, one per line, however lines and characters are split over chunks.
 *
 * Throws a SyntaxError for a line that is no JSON, also for one that the end of input cuts off.
 */
export async function* jsonLines(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<unknown, void, undefined> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let parts: string[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    let text = decoder.decode(chunk, { stream: true });
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
      parts.push(text.slice(0, end));
      text = text.slice(end + 1);
      const line = parts.join("");
      parts = [];
      length = 0;
      if (line.trim() !== "") yield JSON.parse(line);
    }
    if (text === "") continue;
    parts.push(text);
    length += text.length;
    if (length > LINE_LIMIT) throw new SyntaxError(`a line of the stream is longer than ${LINE_LIMIT} characters`);
  }
  parts.push(decoder.decode());
  const rest = parts.join("");
  if (rest.trim() !== "") yield JSON.parse(rest);
}
