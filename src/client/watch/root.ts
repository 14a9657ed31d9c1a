/**
 * Whether the watched directory is still the one whose files are known. An empty mount point looks
 * like a directory from which everything was removed: it must never count as one.
 */
import type { Clock } from "../../base/clock.ts";
import { TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";
import type { Identity, WatchedDisk } from "./disk.ts";
import { looksUnmounted } from "./plan.ts";
import type { WatchState } from "./state.ts";

const PAUSE_MS = 1_000;
const INODE = "root inode";
const DEVICE = "root device";

export class WatchedRoot {
  readonly #disk: WatchedDisk;
  readonly #state: WatchState;
  readonly #clock: Clock;
  #identity: Identity | undefined;
  /** It is another directory than the one whose files are known. */
  #isOther = false;

  constructor(disk: WatchedDisk, state: WatchState, clock: Clock) {
    this.#disk = disk;
    this.#state = state;
    this.#clock = clock;
  }

  /** Takes the directory that is there now as the root; false when none is. */
  async arrive(): Promise<boolean> {
    this.#identity = await this.#disk.identity();
    if (this.#identity === undefined) return false;
    const { inode, device } = this.#identity;
    const before = { inode: this.#state.fact(INODE), device: this.#state.fact(DEVICE) };
    this.#isOther = before.inode !== undefined && before.inode !== String(inode);
    const isRenumbered = !this.#isOther && before.device !== undefined &&
      before.device !== String(device);
    if (isRenumbered) this.#state.renumberDevice(BigInt(before.device ?? 0), device);
    if (!this.#isOther) this.#remember();
    return true;
  }

  /** Whether the directory that arrived is still there. */
  async isThere(): Promise<boolean> {
    const now = await this.#disk.identity();
    const then = this.#identity;
    return now !== undefined && then !== undefined && now.inode === then.inode &&
      now.device === then.device;
  }

  /**
   * Resolves when a directory is there again: the same one, or another one with something in it,
   * unless nothing was known.
   */
  async untilBack(signal: AbortSignal): Promise<void> {
    for (;;) {
      const isBack = await this.arrive();
      const isMountPoint = this.#isOther && this.#state.count() > 0 &&
        await this.#disk.isEmpty();
      if (isBack && !isMountPoint) return;
      await this.#clock.sleep(PAUSE_MS, signal);
    }
  }

  /**
   * Judges a whole scan by the number of known entries that it has missed. One in which so many are
   * missing that the directory is most likely another one does not count; where removals are to be
   * followed it throws `conflict`.
   */
  admit(missing: number, deletes: boolean): void {
    const known = this.#state.count();
    if (looksUnmounted({ missing, known, otherRoot: this.#isOther })) {
      if (!deletes) return;
      throw new TydfsError(
        "conflict",
        `Cannot follow removals in ${
          quotePath(this.#disk.root)
        }: it is not the directory that it ` +
          `was, and ${missing} of ${known} known entries are missing; is the right disk mounted? ` +
          `If so, remove ${quotePath(this.#state.path)} to begin anew`,
      );
    }
    this.#remember();
  }

  #remember(): void {
    if (this.#identity === undefined) return;
    this.#isOther = false;
    this.#state.setFact(INODE, String(this.#identity.inode));
    this.#state.setFact(DEVICE, String(this.#identity.device));
  }
}
