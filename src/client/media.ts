/**
 * What a video file says of itself: duration, tracks, codecs, frames. The one door to mediabunny,
 * loaded for such files only. It reads headers and tables of samples, not the pictures, and stops
 * at a bound of bytes and time.
 */
import {
  CustomSource,
  EncodedPacketSink,
  Input,
  type InputAudioTrack,
  type InputVideoTrack,
  Logging,
  LogLevel,
  MATROSKA,
  MP4,
  QTFF,
  UnsupportedInputFormatError,
  WEBM,
} from "mediabunny";
import { formatDuration, MIB } from "../base/bytes.ts";
import { withTimeout } from "../base/clock.ts";
import type { Clock } from "../base/clock.ts";
import { TydfsError } from "../wire/errors.ts";
import type { AudioFacts, MediaFacts, OpenFile, VideoFacts } from "./api.ts";
import { RandomAccess } from "./random_access.ts";

/** Bytes and time for one file. */
const BUDGET_BYTES = 64 * MIB;
const PATIENCE_MS = 5_000;
/** Counting frames ends here, so that what is known by then can still be told. */
const COUNTING_MS = 3_000;
/** Frames from which a rate is estimated, where counting all would read the whole file. */
const SAMPLE_FRAMES = 240;
/** Frames between two looks at the clock. */
const LOOK_FRAMES = 512;
/** Tracks that are told of; a file may claim any number. */
const TRACKS_MAX = 16;

/** Reads the facts of a video file. Throws `invalid` when it is none, or broken. */
export async function readMedia(
  file: OpenFile,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<MediaFacts> {
  const ended = new AbortController();
  const joint = AbortSignal.any([signal, ended.signal]);
  const access = new RandomAccess(file, { signal: joint, budgetBytes: BUDGET_BYTES });
  Logging.level = LogLevel.Silent;
  // Its own errors are told by the reads that wait for them.
  let failure: unknown;
  const source = new CustomSource({
    getSize: () => access.sizeBytes,
    read: (start, end) =>
      access.read(start, end).catch((error) => {
        failure ??= error;
        throw error;
      }),
    handleUnhandledError: () => {},
  });
  const input = new Input({ formats: [MP4, QTFF, MATROSKA, WEBM], source });
  const late = () =>
    new TydfsError("timeout", `it takes longer than ${formatDuration(PATIENCE_MS)}`);
  const facts = factsOf(input, clock);
  try {
    return await withTimeout(clock, facts, PATIENCE_MS, late);
  } catch (error) {
    signal.throwIfAborted();
    throw failureOf(failure ?? error);
  } finally {
    facts.catch(() => {});
    ended.abort(new TydfsError("interrupted", "Nobody reads on"));
    input.dispose();
  }
}

async function factsOf(input: Input, clock: Clock): Promise<MediaFacts> {
  const deadlineMs = clock.monotonicMs() + COUNTING_MS;
  const format = await input.getFormat();
  const countable = format === MP4 || format === QTFF;
  const seconds = await input.getDurationFromMetadata() ??
    (countable ? await input.computeDuration() : null);
  const video: VideoFacts[] = [];
  for (const track of (await input.getVideoTracks()).slice(0, TRACKS_MAX)) {
    video.push(await videoFacts(track, { seconds, countable, clock, deadlineMs }));
  }
  const audio: AudioFacts[] = [];
  for (const track of (await input.getAudioTracks()).slice(0, TRACKS_MAX)) {
    audio.push(await audioFacts(track));
  }
  if (video.length + audio.length === 0) {
    throw new TydfsError("invalid", "it is broken or cut off: it has no tracks");
  }
  return {
    container: containerName(format.name),
    ...(seconds === null ? {} : { durationMs: Math.round(seconds * 1000) }),
    video,
    audio,
  };
}

interface CountOptions {
  /** The file's duration, where that is known. */
  seconds: number | null;
  /** The container has a table of all frames. */
  countable: boolean;
  clock: Clock;
  deadlineMs: number;
}

async function videoFacts(track: InputVideoTrack, options: CountOptions): Promise<VideoFacts> {
  const rotation = await track.getRotation();
  return {
    codec: await codecOf(track),
    width: await track.getSquarePixelWidth(),
    height: await track.getSquarePixelHeight(),
    ...await countFrames(track, options),
    ...(rotation === 0 ? {} : { rotation }),
  };
}

async function audioFacts(track: InputAudioTrack): Promise<AudioFacts> {
  return {
    codec: await codecOf(track),
    channels: await track.getNumberOfChannels(),
    sampleRate: await track.getSampleRate(),
  };
}

/**
 * Frames and their rate: counted where the container lists them all, else estimated from the first
 * ones; nothing where there is none.
 */
async function countFrames(
  track: InputVideoTrack,
  options: CountOptions,
): Promise<Pick<VideoFacts, "frameRate" | "frames" | "framesEstimated">> {
  const { seconds, countable } = options;
  const metrics = await track.computeFrameRateMetrics({ targetPacketCount: SAMPLE_FRAMES });
  const { probedPacketCount: probed, underlyingFrameRate, averageFrameRate } = metrics;
  const frames = probed < SAMPLE_FRAMES
    ? probed
    : countable
    ? await countListed(track, options)
    : undefined;
  if (frames !== undefined && frames < 2) return { frames };
  const rate = underlyingFrameRate ?? averageFrameRate;
  const frameRate = Math.round(rate * 1000) / 1000;
  if (frames !== undefined) return { frameRate, frames };
  if (seconds === null) return { frameRate };
  return { frameRate, frames: Math.round(seconds * rate), framesEstimated: true };
}

/** The number of frames that the container lists; undefined when counting takes too long. */
async function countListed(
  track: InputVideoTrack,
  { clock, deadlineMs }: CountOptions,
): Promise<number | undefined> {
  const options = { metadataOnly: true };
  const sink = new EncodedPacketSink(track);
  const first = await sink.getFirstPacket(options);
  const second = first === null ? null : await sink.getNextPacket(first, options);
  // In a file of one table mediabunny numbers frames from 0 as the table has them. Walking through
  // all of a long one would take it minutes.
  const isNumbered = first?.sequenceNumber === 0 && second?.sequenceNumber === 1;
  let packet = isNumbered ? await sink.getPacket(Infinity, options) : first;
  let frames = isNumbered ? packet?.sequenceNumber ?? 0 : 0;
  while (packet !== null) {
    frames++;
    // All that is counted may be in memory: then no timer fires, and the clock must be looked at.
    if (frames % LOOK_FRAMES === 0 && clock.monotonicMs() > deadlineMs) return undefined;
    packet = await sink.getNextPacket(packet, options);
  }
  return frames;
}

async function codecOf(track: InputVideoTrack | InputAudioTrack): Promise<string> {
  const codec = await track.getCodec();
  if (codec !== null) return codec;
  const internal = await track.getInternalCodecId();
  return typeof internal === "string" && internal !== "" ? internal : "unknown";
}

/** mediabunny's name of a format, as the file's extension has it. */
function containerName(name: string): string {
  return {
    "MP4": "mp4",
    "QuickTime File Format": "mov",
    "Matroska": "mkv",
    "WebM": "webm",
  }[name] ??
    name.toLowerCase();
}

/** What the user is told; whatever mediabunny throws means that the file is not as it should be. */
function failureOf(error: unknown): TydfsError {
  if (error instanceof TydfsError) return error;
  if (error instanceof UnsupportedInputFormatError) {
    return new TydfsError("invalid", "it is no mp4, mov, webm or mkv file", { cause: error });
  }
  // What mediabunny says is meant for its authors, and stays behind as the cause.
  return new TydfsError("invalid", "it is broken or cut off", { cause: error });
}
