/**
 * A request as a streamer sees one: the parts of `Request` that it looks at, with a body that comes
 * in over virtual time.
 */

/** The bodies of simulated requests; nobody else can read them. */
const bodies = new WeakMap<Request, AsyncIterable<Uint8Array>>();

export interface RequestFacts {
  method: string;
  url: string;
  headers: Record<string, string>;
  signal: AbortSignal;
  body?: AsyncIterable<Uint8Array>;
}

/** Makes a request. */
export function makeRequest({ method, url, headers, signal, body }: RequestFacts): Request {
  const parts: Pick<Request, "method" | "url" | "headers" | "signal" | "bytes"> = {
    ...{ method, url, signal },
    headers: new Headers(headers),
    // Not a Buffer: a slice of one is no copy.
    bytes: async () => new Uint8Array(Buffer.concat(await Array.fromAsync(body ?? nothing()))),
  };
  const request = parts as Request;
  if (body !== undefined) bodies.set(request, body);
  return request;
}

/** The body of a request, real or simulated. */
export function bodyOf(request: Request): AsyncIterable<Uint8Array> {
  return bodies.get(request) ?? request.body ?? nothing();
}

async function* nothing(): AsyncIterable<Uint8Array> {}
