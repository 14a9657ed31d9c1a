/** The targets of symbolic links, which are the bytes of files in the cluster. */
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";

/** The longest target that a system takes. */
const LINK_BYTES_MAX = 4096;

/** The target that the bytes of the link `remote` are. Throws `invalid` when they can't be one. */
export async function readTarget(
  bytes: AsyncIterable<Uint8Array>,
  remote: string,
): Promise<string> {
  const parts: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of bytes) {
    parts.push(part);
    sizeBytes += part.length;
    if (sizeBytes > LINK_BYTES_MAX) break;
  }
  const target = parseTarget(Buffer.concat(parts));
  if (target !== undefined) return target;
  const message = `Cannot read the link ${quotePath(remote)}: its target is no path`;
  throw new TydfsError("invalid", message);
}

/** The bytes of a link as its target; undefined when they can't be one. */
export function parseTarget(bytes: Uint8Array): string | undefined {
  if (bytes.length === 0 || bytes.length > LINK_BYTES_MAX) return undefined;
  const target = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
  return Buffer.from(target).equals(bytes) && !target.includes("\0") ? target : undefined;
}
