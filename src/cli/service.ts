/** `tydfs service`: the systemd unit of a role, to be read or to be put in its place. */
import { resolve } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import { Argument } from "@commander-js/extra-typings";
import type { ServiceRole } from "./service/unit.ts";
import type { Session } from "./session.ts";
import { commonFlags } from "./session.ts";
import { addGlobals } from "./settings_flags.ts";

const EXAMPLES = `
The unit runs the role as the user tydfs, which may write to its data directory
and nowhere else. Settings come from /etc/tydfs/ROLE.env, TYDFS_<KEY>=VALUE a
line; a keeper needs TYDFS_URL there.

Examples:
  tydfs service keeper
  sudo tydfs service master --install
  sudo tydfs service keeper --data /disk2/tydfs --install
`;

/** Declares the command. */
export function addService(program: Command, session: Session): void {
  const command = program.command("service")
    .description("Print or install the systemd unit of a master or keeper")
    .addArgument(new Argument("<ROLE>", "The role").choices(["master", "keeper"] as const))
    .option("--data <dir>", "The data directory (default /var/lib/tydfs/ROLE)")
    .option("--install", "Write the unit to /etc/systemd/system")
    .option("--force", "Replace a unit that is there")
    .addHelpText("after", EXAMPLES)
    .action(async (role, flags, self) => {
      const { formatUnit, unitName } = await import("./service/unit.ts");
      const { json } = commonFlags(self);
      const data = flags.data === undefined ? {} : { data: resolve(flags.data) };
      const place = executablePlace(Bun.isStandaloneExecutable, process.execPath);
      const unit = formatUnit(role, { executable: place.executable, ...data });
      const steps = await stepsFor(role, place, data.data);
      if (flags.install !== true) {
        if (json) return session.output.line(JSON.stringify({ unit, steps }));
        return unit.trimEnd().split("\n").forEach((line) => session.output.line(line));
      }
      const { UNIT_DIRECTORY, writeUnit } = await import("./service/files.ts");
      const path = writeUnit({
        directory: UNIT_DIRECTORY,
        name: unitName(role),
        text: unit,
        force: flags.force === true,
      });
      if (json) return session.output.line(JSON.stringify({ path, unit, steps }));
      session.output.line(`Wrote ${path}. What is left to do, as root:`);
      for (const step of steps) session.output.line(`  ${step}`);
    });
  addGlobals(command, false);
}

export interface ExecutablePlace {
  /** What the unit starts. */
  executable: string;
  /** Where it is to be copied from, when it is not there yet. */
  copyFrom: string | undefined;
}

/**
 * Which executable a unit starts: this one, unless it lies where a service can't reach it, or is no
 * tydfs but the Bun that runs it.
 */
export function executablePlace(isCompiled: boolean, path: string): ExecutablePlace {
  const isHidden = /^\/(home|root|run\/user|tmp|var\/tmp)\//.test(path);
  if (isCompiled && !isHidden) return { executable: path, copyFrom: undefined };
  return { executable: "/usr/local/bin/tydfs", copyFrom: isCompiled ? path : "dist/tydfs" };
}

/** The commands that are left to do once the unit is written. */
export async function stepsFor(
  role: ServiceRole,
  place: ExecutablePlace,
  data: string | undefined,
): Promise<string[]> {
  const unit = await import("./service/unit.ts");
  const { SERVICE_USER: user } = unit;
  const settings = unit.environmentFile(role);
  const name = unit.unitName(role).replace(/\.service$/, "");
  const wanted = role === "keeper"
    ? `echo 'TYDFS_URL=tydfs://keeper:SECRET@MASTER:4222' >> ${settings}   # from the master`
    : `echo 'TYDFS_HOST=0.0.0.0' >> ${settings}   # to be reached from other machines`;
  return [
    ...(place.copyFrom === undefined
      ? []
      : [`install -m 755 ${shellWord(place.copyFrom)} ${shellWord(place.executable)}`]),
    `id ${user} 2>/dev/null || ` +
    `useradd --system --user-group --home-dir /var/lib/tydfs --shell /usr/sbin/nologin ${user}`,
    ...(data === undefined ? [] : [`install -d -o ${user} -g ${user} -m 700 ${shellWord(data)}`]),
    `install -d -m 755 /etc/tydfs && touch ${settings} && chmod 600 ${settings}`,
    wanted,
    `systemctl daemon-reload && systemctl enable --now ${name}`,
    `systemctl status ${name}; journalctl -u ${name} -f`,
    ...(role === "master"
      ? [`cat ${shellWord(data ?? unit.dataDefault(role))}/join.keeper   # for keepers`]
      : []),
  ];
}

function shellWord(text: string): string {
  return /^[\w./+@:%,=-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
