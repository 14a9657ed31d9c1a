/** The Range header of a GET (RFC 9110 §14): one range of bytes; pure. */

/** What a GET wants of a chunk; `end` is the first byte behind it. */
export type WantedBytes =
  | { kind: "whole" }
  | { kind: "part"; start: number; end: number }
  | { kind: "unsatisfiable" };

/** Reads a Range header for a chunk of `sizeBytes`. Several ranges at once are not served. */
export function parseRange(header: string | null, sizeBytes: number): WantedBytes {
  if (header === null) return { kind: "whole" };
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header.trim());
  if (match === null) return { kind: "unsatisfiable" };
  const [, first = "", last = ""] = match;
  if (first === "") {
    const length = Math.min(Number(last), sizeBytes);
    if (last === "" || length === 0) return { kind: "unsatisfiable" };
    return { kind: "part", start: sizeBytes - length, end: sizeBytes };
  }
  const start = Number(first);
  const end = last === "" ? sizeBytes : Math.min(Number(last) + 1, sizeBytes);
  if (start >= sizeBytes || start >= end) return { kind: "unsatisfiable" };
  return { kind: "part", start, end };
}
