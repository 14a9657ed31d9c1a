/** The C library by FFI: which file it is on this platform, opened with the functions asked for. */
import type { FFIFunction, Library } from "bun:ffi";
import { dlopen } from "bun:ffi";

/** By platform; the first that opens is taken (glibc, then musl). */
const LIBRARIES: Record<string, readonly string[]> = {
  linux: ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1", "libc.so"],
  darwin: ["libSystem.B.dylib"],
};

/** Functions of the C library; undefined where none is found that has them all. */
export function openLibc<const Functions extends Record<string, FFIFunction>>(
  functions: Functions,
): Library<Functions>["symbols"] | undefined {
  for (const name of LIBRARIES[process.platform] ?? []) {
    try {
      return dlopen(name, functions).symbols;
    } catch {
      // Not this C library: the next one.
    }
  }
  return undefined;
}

/** Text as C takes it. */
export function cString(text: string): Uint8Array {
  return new TextEncoder().encode(text + "\0");
}
