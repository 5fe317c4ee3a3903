import type { KubeTransport } from "./transport.ts";

/**
 * Lets reads pass, and writes only while `fenced` gives no reason against them. It is asked when the request's connection is ready
 * to take it, so that nothing that waited for a connection, or lay there while the process was suspended, goes out unasked.
 */
export function fencedTransport(transport: KubeTransport, fenced: () => string | undefined): KubeTransport {
  const beforeSend = (): void => {
    const reason = fenced();
    if (reason !== undefined) throw new Error(`not written: ${reason}`);
  };
  return {
    request: (request) =>
      transport.request(
        request.method === "GET"
          ? request
          : {
              ...request,
              beforeSend: () => {
                request.beforeSend?.();
                beforeSend();
              },
            },
      ),
    stream: (request) => transport.stream(request),
    close: () => transport.close(),
  };
}
