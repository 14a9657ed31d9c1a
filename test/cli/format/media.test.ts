/** What `stat` says of videos. */
import { expect, test } from "bun:test";
import { formatMedia, isMediaName, mediaJson } from "../../../src/cli/format/media.ts";
import type { MediaFacts } from "../../../src/client/client.ts";

const FACTS: MediaFacts = {
  container: "mp4",
  durationMs: 3_725_040,
  video: [{ codec: "avc", width: 1920, height: 1080, frameRate: 29.97, frames: 111_640 }],
  audio: [
    { codec: "aac", channels: 2, sampleRate: 48_000 },
    { codec: "x\x1b[2J", channels: 3, sampleRate: 44_100 },
  ],
};

test("formatMedia has a line for the file and for each track", () => {
  expect(formatMedia({ kind: "read", facts: FACTS })).toEqual([
    "  media     mp4, 1 h 2 min",
    "  video     H.264, 1920 × 1080, 29.97 fps, 111640 frames",
    "  audio     AAC, stereo, 48 kHz",
    "  audio     x\\u001b[2J, 3 channels, 44.1 kHz",
  ]);
});

test("formatMedia marks what is estimated, and leaves out what is not known", () => {
  const track = { codec: "vp9", width: 320, height: 180 };
  const video = [
    { ...track, frameRate: 25, frames: 500, framesEstimated: true as const, rotation: 90 },
    track,
  ];
  const facts = { container: "webm", video, audio: [] };
  expect(formatMedia({ kind: "read", facts })).toEqual([
    "  media     webm",
    "  video     VP9, 320 × 180, 25 fps, ~500 frames, turned by 90°",
    "  video     VP9, 320 × 180",
  ]);
  expect(formatMedia({ kind: "read", facts: { ...facts, durationMs: 1480 } })[0]).toBe(
    "  media     webm, 1.5 s",
  );
});

test("a file that can't be read is one line, and an error in JSON", () => {
  const outcome = { kind: "failed", reason: "it is broken or cut off" } as const;
  expect(formatMedia(outcome)).toEqual(["  media: cannot be read: it is broken or cut off"]);
  expect(mediaJson(outcome)).toEqual({ error: "it is broken or cut off" });
  expect(mediaJson({ kind: "read", facts: FACTS })).toEqual({ ...FACTS });
});

test("isMediaName goes by the extension, in any case", () => {
  for (const path of ["/a.mp4", "/b/C.MOV", "/d.webm", "/e.mkv", "/f.m4v"]) {
    expect(isMediaName(path)).toBe(true);
  }
  for (const path of ["/a.mp3", "/mp4", "/.mp4", "/a.mp4/b"]) expect(isMediaName(path)).toBe(false);
});
