/** `tydfs get`: gets a file out of the cluster, to a local file or to standard output. */
import type { Command } from "@commander-js/extra-typings";
import { collecting, STREAM_COLLECT_BYTES } from "./collect.ts";
import { formatGet, getJson } from "./format.ts";
import { ProgressBar } from "./progress.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const STDOUT = "-";

const EXAMPLES = `
Parts come from several keepers at once, and each block is checked against its
sum. A local file that is there is replaced when the download is whole, and
stays as it is otherwise. LOCAL is ./NAME unless given; a local directory takes
the file under its own name, and missing ones are made.

Examples:
  tydfs get /videos/video.mp4
  tydfs get /videos/video.mp4 ~/films/
  tydfs get /photos.tar - | tar x
  tydfs get --parallel 8 --sync /videos/video.mp4 /mnt/usb/video.mp4
`;

/** Declares the command. */
export function addGet(program: Command, session: Session): void {
  const command = program.command("get")
    .description("Get a file out of the cluster")
    .argument("<REMOTE>", "The file's path in the cluster")
    .argument("[LOCAL]", "Where it goes; - is standard output")
    .option("--sync", "Wait until the local file is on its disk")
    .addHelpText("after", EXAMPLES)
    .action(async (remote, local, flags, self) => {
      await session.withClient(
        self,
        (connected) =>
          local === STDOUT
            ? getToStdout(connected, remote)
            : getToFile(connected, remote, local ?? ".", flags.sync === true),
      );
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

async function getToFile(
  { client, signal, output, json, quiet }: ClientSession,
  remote: string,
  local: string,
  sync: boolean,
): Promise<void> {
  const progress = new ProgressBar(output, remote, json || quiet);
  const options = { signal, sync, onProgress: collecting(progress.listener) };
  const result = await client.get(remote, local, options).finally(() => progress.end());
  if (json) {
    output.line(JSON.stringify(getJson(result)));
  } else if (!quiet) {
    output.line(formatGet(result));
  }
}

async function getToStdout(
  { client, signal, output, json, quiet }: ClientSession,
  remote: string,
): Promise<void> {
  const progress = new ProgressBar(output, remote, json || quiet);
  const onProgress = collecting(progress.listener, STREAM_COLLECT_BYTES);
  try {
    for await (const bytes of client.read(remote, { signal, onProgress })) {
      if (!await output.bytes(bytes)) return;
    }
  } finally {
    progress.end();
  }
}
