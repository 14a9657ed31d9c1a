/**
 * A disk that can lose its power: an image on a loop device, shut down without a flush, so that
 * all that was not synced is gone, renames included. It needs root and a mount namespace of its
 * own (see `run.ts`): with that, mount and loop device go when the last process has.
 */
import { closeSync, ftruncateSync, mkdirSync, openSync, rmSync } from "node:fs";
import { until } from "../../cluster/harness.ts";
import { system } from "../hosts.ts";

export type FileSystem = "ext4" | "xfs";

/** The one call that no shell has: EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN are the same number. */
const SHUTDOWN = `
import fcntl, os, struct, sys
for point in sys.argv[1:]:
    directory = os.open(point, os.O_RDONLY)
    fcntl.ioctl(directory, 0x8004587D, struct.pack("I", 2))
    os.close(directory)
`;

const MAKERS: Record<FileSystem, string[]> = {
  ext4: ["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1"],
  xfs: ["mkfs.xfs", "-q", "-f"],
};

const UNMOUNT_MS = 10_000;

export class DiskImage {
  readonly point: string;
  readonly #file: string;

  private constructor(file: string, point: string) {
    this.#file = file;
    this.point = point;
  }

  /** Makes a sparse image of `sizeBytes` in `file` and mounts it at `point`. */
  static make(
    options: { file: string; point: string; fileSystem: FileSystem; sizeBytes: number },
  ): DiskImage {
    const { file, point, fileSystem, sizeBytes } = options;
    const handle = openSync(file, "w");
    ftruncateSync(handle, sizeBytes);
    closeSync(handle);
    system([...MAKERS[fileSystem], file]);
    mkdirSync(point, { recursive: true });
    const image = new DiskImage(file, point);
    image.#mount();
    return image;
  }

  /** Cuts the power of several disks, as near to one moment as it can be. */
  static cutPower(images: readonly DiskImage[]): void {
    system(["/usr/bin/python3", "-c", SHUTDOWN, ...images.map(({ point }) => point)]);
  }

  /** Makes an ext4 disk read-only as its kernel does after an error, with files open on it. */
  turnReadOnly(): void {
    system(["mount", "-o", "remount,abort", this.point]);
  }

  /** Mounts the disk again after its power was cut; nobody may use it. The journal is replayed. */
  async restorePower(): Promise<void> {
    await this.#unmount();
    this.#mount();
  }

  /** Unmounts the disk, which lets the loop device go, and removes the image. */
  async remove(): Promise<void> {
    await this.#unmount();
    rmSync(this.#file, { force: true });
  }

  #mount(): void {
    system(["mount", "-o", "loop,noatime", this.#file, this.point]);
  }

  /** What was killed may still be on its way out. */
  async #unmount(): Promise<void> {
    const unmounted = () => Bun.spawnSync(["umount", this.point]).exitCode === 0;
    await until(`nobody uses ${this.point}`, unmounted, UNMOUNT_MS);
  }
}
