/**
 * Remote paths: absolute, `/`-parted, UTF-8 parts of 1–255 bytes; `.`, `..` and NUL are refused,
 * never resolved, so that a path means one thing everywhere.
 */
import * as v from "valibot";
import { TydfsError } from "./errors.ts";

export const PART_BYTES_MAX = 255;
export const PATH_BYTES_MAX = 4096;
export const ROOT = "/";

/**
 * Brings a path to its one form: a leading slash, no trailing or doubled ones. Throws `usage` with
 * the reason on a path that can't be a name.
 */
export function parsePath(text: string): string {
  const reason = whyNotPath(text);
  if (reason === undefined && isOneForm(text)) return text;
  if (reason !== undefined) {
    throw new TydfsError("usage", `Cannot use ${quotePath(text)} as a remote name: ${reason}`);
  }
  return "/" + text.split("/").filter((part) => part !== "").join("/");
}

/** The parts of a path in its one form; the root has none. */
export function splitPath(path: string): string[] {
  return path === ROOT ? [] : path.slice(1).split("/");
}

/** The directory that holds `path`; the root's own is the root. */
export function parentPath(path: string): string {
  const end = path.lastIndexOf("/");
  return end <= 0 ? ROOT : path.slice(0, end);
}

/** The last part of `path`; empty for the root. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

/** `name` inside `directory`. */
export function joinPath(directory: string, name: string): string {
  return directory === ROOT ? ROOT + name : `${directory}/${name}`;
}

/** A path as messages show it: quoted, control characters escaped, cut when overlong. */
export function quotePath(path: string): string {
  // What JSON leaves as it is, and yet moves a terminal's cursor or turns the order of letters.
  const quoted = JSON.stringify(path).replace(/[\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, (found) => {
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
  return quoted.length <= 200 ? quoted : `${quoted.slice(0, 120)}…"`;
}

/** The schema of a path on the wire: already in its one form. */
export const RemotePath = v.pipe(
  v.string(),
  v.check((text) => isOneForm(text) && whyNotPath(text) === undefined, "not a remote path"),
);

function isOneForm(text: string): boolean {
  if (text === ROOT) return true;
  return text.startsWith("/") && !text.endsWith("/") && !text.includes("//");
}

function whyNotPath(text: string): string | undefined {
  // Nearly all paths are like this, and some messages have thousands.
  if (text.length <= PART_BYTES_MAX && /^[-\w/ ]+(?:\.[-\w/ ]+)*$/.test(text)) {
    return /(?:^|\/)\.(?:\/|$)/.test(text) ? `"." is not a name` : undefined;
  }
  if (text === "") return "it is empty";
  if (!text.isWellFormed()) return "it is not UTF-8";
  if (Buffer.byteLength(text) > PATH_BYTES_MAX) return `it is over ${PATH_BYTES_MAX} bytes`;
  if (text.includes("\0")) return "it has a NUL character";
  for (const part of text.split("/")) {
    if (part === "." || part === "..") return `"${part}" is not a name`;
    const partBytes = Buffer.byteLength(part);
    if (partBytes > PART_BYTES_MAX) {
      return `a part has ${partBytes} bytes, ${PART_BYTES_MAX} are the most`;
    }
  }
  return undefined;
}
