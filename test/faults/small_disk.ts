/** A small disk for one keeper, so that it can be filled: a tmpfs. Needs root. */
import { mkdirSync } from "node:fs";
import { system } from "./hosts.ts";

export class SmallDisk {
  private constructor(readonly dir: string) {}

  /** Mounts a disk of `sizeMib` on `dir`. */
  static mount(dir: string, sizeMib: number): SmallDisk {
    mkdirSync(dir, { recursive: true });
    system(["mount", "-t", "tmpfs", "-o", `size=${sizeMib}m`, "tydfs-chaos", dir]);
    return new SmallDisk(dir);
  }

  unmount(): void {
    system(["umount", "--lazy", this.dir]);
  }
}
