/**
 * Videos for tests, muxed by mediabunny from made-up packets: right in everything that a header
 * tells, with noise for pictures.
 */
import type { OutputFormat } from "mediabunny";
import {
  BufferTarget,
  EncodedAudioPacketSource,
  EncodedPacket,
  EncodedVideoPacketSource,
  MkvOutputFormat,
  MovOutputFormat,
  Mp4OutputFormat,
  Output,
  WebMOutputFormat,
} from "mediabunny";
import { must } from "../../src/base/assert.ts";
import { seededRandom } from "../../src/base/random.ts";

export interface VideoOptions {
  kind: "mp4" | "mp4-moov-first" | "mp4-fragmented" | "mov" | "webm" | "mkv";
  /** 60 unless given. */
  frames?: number;
  /** 30 unless given. */
  frameRate?: number;
  /** Bytes of a frame; 100 unless given. */
  frameBytes?: number;
  rotation?: 0 | 90 | 180 | 270;
}

const WIDTH = 320;
const HEIGHT = 180;
const AUDIO_PACKET_S = 0.02;

/** A video of 320 × 180 in VP9, with stereo Opus at 48 kHz. */
export async function makeVideo(options: VideoOptions): Promise<Uint8Array<ArrayBuffer>> {
  const { kind, frames = 60, frameRate = 30, frameBytes = 100, rotation = 0 } = options;
  const target = new BufferTarget();
  const output = new Output({ format: formatOf(kind), target });
  const video = new EncodedVideoPacketSource("vp9");
  const audio = new EncodedAudioPacketSource("opus");
  output.addVideoTrack(video, rotation === 0 ? {} : { rotation });
  output.addAudioTrack(audio);
  await output.start();
  const noise = seededRandom(frames).bytes(frameBytes);
  const seconds = frames / frameRate;
  const videoConfig = { codec: "vp09.00.10.08", codedWidth: WIDTH, codedHeight: HEIGHT };
  const audioConfig = { codec: "opus", numberOfChannels: 2, sampleRate: 48_000 };
  for (let frame = 0, sound = 0; frame < frames; frame++) {
    const atS = frame / frameRate;
    const type = frame % 30 === 0 ? "key" : "delta";
    const packet = new EncodedPacket(noise, type, atS, 1 / frameRate);
    await video.add(packet, frame === 0 ? { decoderConfig: videoConfig } : undefined);
    for (; sound * AUDIO_PACKET_S < Math.min(atS + 1 / frameRate, seconds) - 1e-9; sound++) {
      const soundPacket = new EncodedPacket(
        noise.subarray(0, 20),
        "key",
        sound * AUDIO_PACKET_S,
        AUDIO_PACKET_S,
      );
      await audio.add(soundPacket, sound === 0 ? { decoderConfig: audioConfig } : undefined);
    }
  }
  await output.finalize();
  return new Uint8Array(must(target.buffer, "the finished video"));
}

function formatOf(kind: VideoOptions["kind"]): OutputFormat {
  switch (kind) {
    case "mp4":
      return new Mp4OutputFormat({ fastStart: false });
    case "mp4-moov-first":
      return new Mp4OutputFormat({ fastStart: "in-memory" });
    case "mp4-fragmented":
      return new Mp4OutputFormat({ fastStart: "fragmented" });
    case "mov":
      return new MovOutputFormat({ fastStart: "in-memory" });
    case "webm":
      return new WebMOutputFormat();
    case "mkv":
      return new MkvOutputFormat();
  }
}
