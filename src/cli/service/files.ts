/** Writes a unit where systemd looks for it; the only place where the command line writes files. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";

/** Where the units of this machine's administrator lie. */
export const UNIT_DIRECTORY = "/etc/systemd/system";

export interface WriteUnitOptions {
  directory: string;
  name: string;
  text: string;
  /** Replace a file that is there. */
  force: boolean;
}

/** Writes the unit; returns its path. Throws `exists`, `denied`, `local`. */
export function writeUnit({ directory, name, text, force }: WriteUnitOptions): string {
  const path = join(directory, name);
  try {
    writeFileSync(path, text, { flag: force ? "w" : "wx", mode: 0o644 });
    return path;
  } catch (cause) {
    const { code = "", message } = cause as Error & { code?: string };
    const cannot = `Cannot write ${quotePath(path)}:`;
    if (code === "EEXIST") {
      throw new TydfsError("exists", `${cannot} it is there; --force replaces it`, { cause });
    }
    if (code === "EACCES" || code === "EPERM") {
      throw new TydfsError("denied", `${cannot} only root may do that; try sudo`, { cause });
    }
    if (code === "ENOENT") {
      const words = `${cannot} there is no ${directory}; is this a machine with systemd?`;
      throw new TydfsError("local", words, { cause });
    }
    throw new TydfsError("local", `${cannot} ${message}`, { cause });
  }
}
