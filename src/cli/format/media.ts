/** What a video file says of itself, as `stat` shows it. */
import { extname } from "node:path";
import { formatDuration } from "../../base/bytes.ts";
import type { AudioFacts, MediaFacts, VideoFacts } from "../../client/client.ts";
import { printable } from "../output.ts";

const EXTENSIONS = [".mp4", ".m4v", ".mov", ".webm", ".mkv"];
/** Labels are as wide as those of `formatStat`. */
const LABEL_CHARS = 8;

/** Codecs by the names that people know. */
const CODEC_NAMES: Record<string, string> = {
  avc: "H.264",
  hevc: "H.265",
  vp8: "VP8",
  vp9: "VP9",
  av1: "AV1",
  prores: "ProRes",
  aac: "AAC",
  opus: "Opus",
  mp3: "MP3",
  vorbis: "Vorbis",
  flac: "FLAC",
  ac3: "AC-3",
  eac3: "E-AC-3",
  dts: "DTS",
};

/** What is known of a file's media: its facts, or why they can't be read. */
export type MediaOutcome =
  | { kind: "read"; facts: MediaFacts }
  | { kind: "failed"; reason: string };

/** Whether a file's name says that it is a video. */
export function isMediaName(path: string): boolean {
  return EXTENSIONS.includes(extname(path).toLowerCase());
}

/** The lines that `stat` adds for a video. */
export function formatMedia(outcome: MediaOutcome): string[] {
  if (outcome.kind === "failed") {
    return [`  media: cannot be read: ${printable(outcome.reason)}`];
  }
  const { container, durationMs, video, audio } = outcome.facts;
  const duration = durationMs === undefined ? "" : `, ${formatPlayTime(durationMs)}`;
  return [
    row("media", `${container}${duration}`),
    ...video.map((track) => row("video", videoWords(track))),
    ...audio.map((track) => row("audio", audioWords(track))),
  ];
}

/** What `stat --json` says as `media`. */
export function mediaJson(outcome: MediaOutcome): Record<string, unknown> {
  return outcome.kind === "failed" ? { error: outcome.reason } : { ...outcome.facts };
}

function videoWords(track: VideoFacts): string {
  const { codec, width, height, frameRate, frames, framesEstimated, rotation } = track;
  return [
    codecName(codec),
    `${width} × ${height}`,
    ...(frameRate === undefined ? [] : [`${Number(frameRate.toFixed(2))} fps`]),
    ...(frames === undefined ? [] : [`${framesEstimated ? "~" : ""}${frames} frames`]),
    ...(rotation === undefined ? [] : [`turned by ${rotation}°`]),
  ].join(", ");
}

function audioWords({ codec, channels, sampleRate }: AudioFacts): string {
  const layout = { 1: "mono", 2: "stereo", 6: "5.1", 8: "7.1" }[channels] ?? `${channels} channels`;
  return [codecName(codec), layout, `${sampleRate / 1000} kHz`].join(", ");
}

/** A file may name its codec as it likes. */
function codecName(codec: string): string {
  return CODEC_NAMES[codec] ?? printable(codec);
}

/** `1.5 s` where a rounded one would say too little; see `formatDuration`. */
function formatPlayTime(ms: number): string {
  return ms >= 1000 && ms < 60_000 ? `${Number((ms / 1000).toFixed(1))} s` : formatDuration(ms);
}

function row(label: string, words: string): string {
  return `  ${label.padEnd(LABEL_CHARS)}  ${words}`;
}
