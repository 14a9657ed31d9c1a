/**
 * How far a chunk is that the kernel sends: the keeper is asked now and then, when it takes long
 * enough. What is told never falls and never reaches the whole: done is what the keeper answers to
 * the chunk itself. A question that is refused changes nothing; those that nobody answers tell a
 * keeper that hangs, or is cut off, from a slow one.
 */
import type { Clock } from "../base/clock.ts";
import type { ChunkTransport, PortAddress } from "../wire/chunk_http.ts";
import { orAbort } from "./crew.ts";

/** The first question, and the pause between an answer and the next one. */
const ASK_EVERY_MS = 500;
/** Time for an answer. */
const ANSWER_MS = 2_000;
/** Questions left unanswered, one after the other, after which a keeper counts as silent. */
const UNANSWERED_MAX = 2;
/** Until it is known to be durable, no more than this of a chunk is told. */
const SHARE_MAX = 0.99;

export interface SendWatch {
  clock: Clock;
  chunk: string;
  /** The ticket of the PUT that is watched. */
  ticket: string;
  sizeBytes: number;
  /** Hears how many bytes of the chunk the keeper has, when there are more than before. */
  onReceived: (bytes: number) => void;
  /** Hears, at most once, that nothing more is to be expected of the keeper. */
  onSilent: () => void;
}

/** Watches a PUT that begins now until the returned function is called, or the keeper is silent. */
export function watchSend(
  transport: ChunkTransport,
  address: PortAddress,
  watch: SendWatch,
): () => void {
  const { clock, chunk, ticket, sizeBytes, onReceived, onSilent } = watch;
  const mostBytes = Math.floor(SHARE_MAX * sizeBytes);
  let stopped = false;
  let told = 0;
  let unanswered = 0;
  let timer = clock.after(ASK_EVERY_MS, ask);
  let question: AbortController | undefined;

  async function ask(): Promise<void> {
    const asked = new AbortController();
    question = asked;
    timer = clock.after(ANSWER_MS, () => asked.abort());
    const { signal } = asked;
    // An older keeper does not know the question, and one that is about to stop takes none.
    const receivedBytes = await orAbort(
      transport.progress(address, { chunk, ticket, signal }),
      signal,
    )
      .catch(() => 0);
    if (stopped) return;
    timer.stop();
    unanswered = signal.aborted ? unanswered + 1 : 0;
    if (unanswered >= UNANSWERED_MAX) return onSilent();
    timer = clock.after(signal.aborted ? 0 : ASK_EVERY_MS, ask);
    tell(receivedBytes);
  }

  function tell(receivedBytes: number): void {
    const bytes = Math.min(receivedBytes, mostBytes);
    if (bytes <= told) return;
    told = bytes;
    onReceived(bytes);
  }

  return () => {
    stopped = true;
    timer.stop();
    question?.abort();
  };
}
