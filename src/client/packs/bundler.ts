/** Bundles the jobs of a tree that put small files. */
import type { PutOptions } from "../api.ts";
import type { TydfsClient } from "../client.ts";
import type { Bundler, Job } from "../trees/job.ts";
import { PUT_LIMITS } from "./plan.ts";
import type { SmallFile } from "./small_file.ts";

/** A job that puts a small file, and may do so together with others. */
export interface SmallJob extends Job {
  small: SmallFile;
}

export class PutBundler implements Bundler {
  readonly filesMax = PUT_LIMITS.files;
  // Not all: the manifest needs room, too.
  readonly bytesMax = PUT_LIMITS.bytes * 0.9;
  readonly #client: Pick<TydfsClient, "putPacked">;
  readonly #put: PutOptions;

  constructor(client: Pick<TydfsClient, "putPacked">, put: PutOptions = {}) {
    this.#client = client;
    this.#put = put;
  }

  run: Bundler["run"] = async (jobs, { signal, onProgress }) => {
    const files = jobs.map((job) => (job as SmallJob).small);
    const { replicas, minCopies, exclusive = false } = this.#put;
    return await this.#client.putPacked(files, {
      ...(replicas === undefined ? {} : { replicas }),
      ...(minCopies === undefined ? {} : { minCopies }),
      exclusive,
      signal,
      onSent: (index) => {
        const job = jobs[index];
        if (job === undefined) return;
        onProgress(job, { doneBytes: job.sizeBytes, totalBytes: job.sizeBytes });
      },
    });
  };
}
