/** Gets the small files of a tree together, by way of the chunks that they share. */
import { MIB } from "../../base/bytes.ts";
import { TydfsError } from "../../wire/errors.ts";
import { LOCATE_MANY_MAX } from "../../wire/locate_many.ts";
import type { GetOptions, ManyFile } from "../api.ts";
import type { TydfsClient } from "../client.ts";
import type { Progress } from "../context.ts";
import type { Bundler, Job } from "./job.ts";
import type { LocalWriter } from "./local_writer.ts";

export class GetBundler implements Bundler {
  readonly filesMax = LOCATE_MANY_MAX;
  /** Several packs: nothing of it is held, and each is fetched but once. */
  readonly bytesMax = 64 * MIB;
  readonly #client: TydfsClient;
  readonly #writer: LocalWriter;
  readonly #get: GetOptions;

  constructor(client: TydfsClient, { writer, get }: { writer: LocalWriter; get: GetOptions }) {
    this.#client = client;
    this.#writer = writer;
    this.#get = get;
  }

  async run(
    jobs: readonly Job[],
    { signal, onProgress }: {
      signal: AbortSignal;
      onProgress: (job: Job, progress: Progress) => void;
    },
  ): Promise<unknown[]> {
    const able = jobs.filter((job) => this.#prepare(job));
    const files = able.map(({ from, path }): ManyFile => ({ remote: from, local: path }));
    const told = await this.#client.getMany(files, {
      signal,
      sync: this.#get.sync ?? false,
      onProgress: (index, progress) => {
        const job = able[index];
        if (job !== undefined) onProgress(job, progress);
      },
    });
    const toldByJob = new Map(able.map((job, index) => [job, told[index]]));
    return jobs.map((job) => toldByJob.get(job));
  }

  /** Makes the directories above a file; false where that fails: who runs it alone tells. */
  #prepare(job: Job): boolean {
    try {
      this.#writer.prepareParents(this.#writer.pathOf(job.path));
      return true;
    } catch (error) {
      if (!(error instanceof TydfsError)) throw error;
      return false;
    }
  }
}
