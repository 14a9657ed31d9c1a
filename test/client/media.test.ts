/** What videos say of themselves, read through the client from a cluster in memory. */
import { expect, test } from "bun:test";
import { MIB } from "../../src/base/bytes.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { someBytes } from "./scratch.ts";
import type { VideoOptions } from "./video.ts";
import { makeVideo } from "./video.ts";

const TRACK = { codec: "vp9", width: 320, height: 180, frameRate: 30 };
const AUDIO = [{ codec: "opus", channels: 2, sampleRate: 48_000 }];

async function clusterWith(options: VideoOptions, speed = 200): Promise<FakeCluster> {
  const cluster = new FakeCluster({ speed });
  cluster.store("/v", await makeVideo(options));
  return cluster;
}

const LISTED: [VideoOptions["kind"], string][] = [
  ["mp4", "mp4"],
  ["mp4-moov-first", "mp4"],
  ["mp4-fragmented", "mp4"],
  ["mov", "mov"],
];

test.each(LISTED)("media of %s counts the frames", async (kind, container) => {
  // Fewer and more than those from which the rate is taken. Fragments are walked through, which
  // takes time, and the time of this cluster is short.
  const counts = kind === "mp4-fragmented" ? [1, 2, 75] : [1, 2, 75, 751];
  for (const frames of counts) {
    const { client } = await clusterWith({ kind, frames });
    const { frameRate, ...still } = TRACK;
    expect(await client.media("/v")).toEqual({
      container,
      // The sound comes in packets of 20 ms, and ends with a whole one.
      durationMs: Math.ceil(frames / 30 * 50) * 20,
      video: [frames === 1 ? { ...still, frames } : { ...still, frameRate, frames }],
      audio: AUDIO,
    });
  }
});

test.each([["webm"], ["mkv"]] as const)(
  "media of a short %s counts, of a long one estimates",
  async (kind) => {
    const short = await clusterWith({ kind, frames: 60 });
    expect(await short.client.media("/v")).toEqual({
      container: kind,
      durationMs: 2000,
      video: [{ ...TRACK, frames: 60 }],
      audio: AUDIO,
    });
    const long = await clusterWith({ kind, frames: 900 });
    const [track] = (await long.client.media("/v")).video;
    expect(track).toMatchObject({ codec: "vp9", frames: 900, framesEstimated: true });
    expect(track?.frameRate).toBe(30);
  },
);

test("media tells of rotation", async () => {
  const { client } = await clusterWith({ kind: "mp4", rotation: 90 });
  expect((await client.media("/v")).video[0]).toMatchObject({ rotation: 90, width: 320 });
});

test("media of a large file with its tables at the end reads few blocks", async () => {
  const cluster = await clusterWith({ kind: "mp4", frames: 100, frameBytes: MIB / 4 });
  const { client } = cluster;
  expect((await client.media("/v")).video[0]).toMatchObject({ frames: 100 });
  const gets = cluster.keepers.reduce((sum, keeper) => sum + keeper.gets, 0);
  expect(cluster.file("/v").bytes).toBeGreaterThan(25 * MIB);
  expect(gets).toBeLessThan(6);
});

test("media of what is no video, or is cut off, says so", async () => {
  const cluster = new FakeCluster();
  cluster.store("/noise", someBytes(3 * MIB));
  cluster.store("/tiny", someBytes(5));
  cluster.store("/empty", new Uint8Array());
  const video = await makeVideo({ kind: "mp4", frames: 300, frameBytes: 1000 });
  cluster.store("/cut", video.slice(0, video.length / 2));
  for (const path of ["/noise", "/tiny", "/empty", "/cut"]) {
    await expect(cluster.client.media(path)).rejects.toMatchObject({ code: "invalid" });
  }
});

test("media of any broken video ends, with facts or an error of ours", async () => {
  const cluster = new FakeCluster();
  for (const kind of ["mp4-moov-first", "mp4-fragmented", "webm"] as const) {
    const video = await makeVideo({ kind, frames: 30 });
    // Four bytes at a time are made what no count or size should be.
    for (let at = 4; at < video.length; at += 389) {
      const broken = video.slice();
      for (let byte = at; byte < at + 4 && byte < broken.length; byte++) broken[byte] = 255;
      cluster.store("/broken", broken);
      const outcome = await cluster.client.media("/broken").catch((error: unknown) => error);
      if (outcome instanceof Error) expect(outcome).toBeInstanceOf(TydfsError);
    }
  }
}, 60_000);

test("media names a keeper's failure as what it is", async () => {
  // All keepers are tried, with pauses, before the patience with a video is over.
  const cluster = await clusterWith({ kind: "mp4" }, 20);
  for (const keeper of cluster.keepers) keeper.fault = "flip";
  await expect(cluster.client.media("/v")).rejects.toMatchObject({ code: "lost" });
});

test("media gives up in time when keepers do not answer", async () => {
  const cluster = await clusterWith({ kind: "mp4", frameBytes: MIB / 16 });
  for (const keeper of cluster.keepers) keeper.fault = "stall";
  await expect(cluster.client.media("/v")).rejects.toMatchObject({ code: "timeout" });
});

test("media is stopped by its signal", async () => {
  const cluster = await clusterWith({ kind: "mp4", frameBytes: MIB / 16 });
  for (const keeper of cluster.keepers) keeper.fault = "stall";
  const stop = new AbortController();
  const media = cluster.client.media("/v", { signal: stop.signal });
  stop.abort(new TydfsError("interrupted", "Stopped"));
  await expect(media).rejects.toMatchObject({ code: "interrupted" });
});
