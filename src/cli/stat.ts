/**
 * `tydfs stat`: what is known of paths, with the place of each chunk where it is asked for, and
 * what videos say of themselves.
 */
import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import type { StatResult, TydfsClient } from "../client/client.ts";
import { TydfsError } from "../wire/errors.ts";
import { formatStat, kindOf, statJson } from "./format/format.ts";
import type { MediaOutcome } from "./format/media.ts";
import { formatMedia, isMediaName, mediaJson } from "./format/media.ts";
import { findMatches, jsonOf } from "./names/matches.ts";
import type { Output } from "./output.ts";
import { printable } from "./output.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
Of videos (mp4, m4v, mov, webm, mkv) the file's own header is read too:
duration, size, codecs, frame rate. A ~ marks a number of frames that follows
from rate and duration, where the file does not list its frames.

Examples:
  tydfs stat /videos/video.mp4
  tydfs stat --locations /videos/video.mp4     chunks, keepers, and the path on each keeper
  tydfs stat --json '/videos/*.mp4' | jq -r '.[] | [.checksum, .path] | @tsv'
  tydfs stat --json /videos/video.mp4 | jq .media.video[0].frameRate
`;

const MEDIA_CHOICES = ["auto", "always", "never"] as const;
type MediaChoice = typeof MEDIA_CHOICES[number];

/** Declares the command. */
export function addStat(program: Command, session: Session): void {
  const command = program.command("stat")
    .description("Show what is known of a file or directory")
    .argument("<PATH...>", "Paths in the cluster, or patterns")
    .option("--locations", "With each chunk, and where its copies are")
    .addOption(
      new Option("--media <when>", "Read what videos say of themselves (auto: by their names)")
        .choices(MEDIA_CHOICES).default("auto" as const),
    )
    .option("--no-media", "Read no file: the same as --media never")
    .addHelpText("after", EXAMPLES)
    .action(async (paths, flags, self) => {
      const locations = flags.locations === true;
      const choice = flags.media === false ? "never" : flags.media;
      await session.withClient(self, async ({ client, signal, output, json }) => {
        const values: unknown[] = [];
        const options = { client, signal, topmost: false };
        const { entries, several } = await findMatches(session, paths, options);
        await session.forEach(entries, signal, async ({ path }) => {
          const result = await client.stat(path, { signal, locations });
          const media = await mediaOf(client, result, { choice, signal });
          const target = await targetOf(client, result, { choice, signal, output });
          if (json) {
            const facts = statJson(result, { locations, target });
            values.push(media === undefined ? facts : { ...facts, media: mediaJson(media) });
            return;
          }
          formatStat(result, { locations, target }).forEach((line) => output.line(line));
          if (media !== undefined) formatMedia(media).forEach((line) => output.line(line));
        });
        if (json) output.line(jsonOf(values, { several }));
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** What a symbolic link leads to. That it can't be read is told, and the rest is shown. */
async function targetOf(
  client: TydfsClient,
  { entry }: StatResult,
  { choice, signal, output }: { choice: MediaChoice; signal: AbortSignal; output: Output },
): Promise<string | undefined> {
  if (choice === "never" || kindOf(entry) !== "link") return undefined;
  try {
    return await client.readLink(entry.path, { signal });
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof TydfsError)) throw error;
    output.message(`tydfs: ${printable(error.message)}`);
    return undefined;
  }
}

/** What a video says of itself, if anybody asks. That it can't be read is no failure. */
export async function mediaOf(
  client: TydfsClient,
  { entry }: StatResult,
  { choice, signal }: { choice: MediaChoice; signal: AbortSignal },
): Promise<MediaOutcome | undefined> {
  const wanted = choice === "always" || (choice === "auto" && isMediaName(entry.path));
  if (!wanted || kindOf(entry) !== "file") return undefined;
  try {
    return { kind: "read", facts: await client.media(entry.path, { signal }) };
  } catch (error) {
    signal.throwIfAborted();
    return { kind: "failed", reason: error instanceof Error ? error.message : String(error) };
  }
}
