/**
 * What people had before, and where each of it is shown: the rows of the list of features, and what
 * the systems before did wrong, with the tests of the compiled binary that show each. `rows.test.ts`
 * checks that every test is there, so that this index can't rot.
 */

/** A test by its file below `test/cluster/` and the beginning of its title. */
export interface Shown {
  file: string;
  tests: readonly string[];
}

export interface Row {
  /** What the row is about. */
  what: string;
  by: readonly Shown[];
}

const shown = (file: string, ...tests: string[]): Shown => ({ file, tests });
const features = (...tests: string[]) => shown("features.test.ts", ...tests);
const faults = (...tests: string[]) => shown("faults.test.ts", ...tests);

/** What must be there. */
export const ROWS: Readonly<Record<number, Row>> = {
  1: { what: "A master with port and trackers", by: [features("row 1:")] },
  2: {
    what: "Settings: file, flag, environment; errors with the line",
    by: [
      features("row 2:"),
      shown("bad_arguments.test.ts", "a configuration file is wrong with its line"),
    ],
  },
  3: { what: "A keeper with ports, streamers, data, name", by: [features("rows 3 and 11:")] },
  4: {
    what: "Registration, and a list of keepers that may join",
    by: [
      features("row 4:", "rows 3 and 11:"),
      faults("a keeper's directory can't be used twice"),
    ],
  },
  5: {
    what: "URL and user of a client",
    by: [features("row 5:"), shown("spine.test.ts", "the owner is recorded")],
  },
  6: {
    what: "An interactive shell",
    by: [shown(
      "shell.test.ts",
      "shell runs the lines of its input",
      "shell on a terminal: prompt, completion, questions, Ctrl-C, history",
    )],
  },
  7: {
    what: "One-shot commands",
    by: [
      features("row 7:"),
      shown("commands.test.ts", "cp copies files, patterns and trees", "du adds up directories"),
    ],
  },
  8: {
    what: "A load generator",
    by: [shown("screens.test.ts", "bench adds up, and leaves nothing behind")],
  },
  9: {
    what: "All of it on one machine",
    by: [shown("cluster_sh.test.ts", "up starts a master and keepers", "kill and start take")],
  },
  10: { what: "Several trackers with shared tables", by: [features("row 10:")] },
  11: { what: "Several streamers, a port each", by: [features("rows 3 and 11:")] },
  12: {
    what: "Sentinel and replicator apart from the rest",
    by: [features("row 12:"), faults("a dead keeper's chunks are copied again")],
  },
  13: {
    what: "Who holds what, and where",
    by: [shown("spine.test.ts", "put reaches three copies and stat shows where they lie")],
  },
  14: {
    what: "Status of keepers, ports and streams",
    by: [
      features("row 14:"),
      shown("spine.test.ts", "status has the promised shape"),
      shown("screens.test.ts", "top --once prints one picture"),
    ],
  },
  15: {
    what: "The catalog survives kill -9",
    by: [faults("kill -9 of everything at once", "the master killed and started in mid-upload")],
  },
  16: {
    what: "Dead keepers are skipped, and taken back",
    by: [features("row 16:"), faults("keepers that have just died, unknown to the master")],
  },
  17: {
    what: "Port slots are freed, whoever dies",
    by: [faults(
      "all ports busy: put waits and says so",
      "a client killed in mid-upload: slots free",
      "a keeper killed in mid-upload",
    )],
  },
  18: { what: "Placement over keepers and zones", by: [features("row 18:")] },
  19: { what: "Direct transfer, and a success that names copies", by: [features("row 19:")] },
  20: {
    what: "Copies by the chain, and by the replicator after it",
    by: [features("row 20:"), faults("two keepers: everything works, and says 2 of 3 copies")],
  },
  21: {
    what: "A dead keeper's files are copied again",
    by: [faults("a dead keeper's chunks are copied again; surplus goes when it returns")],
  },
  22: { what: "A download from several keepers at once", by: [features("row 22:")] },
  23: {
    what: "Any bytes, any names",
    by: [
      features("row 23:"),
      shown("spine.test.ts", "put and get of %s come back identical", "names with spaces"),
      shown("trees.test.ts", "a nasty tree comes back from put -r and get -r entry by entry"),
    ],
  },
  24: {
    what: "What a video says of itself",
    by: [shown("screens.test.ts", "stat shows what videos say of themselves")],
  },
  25: {
    what: "A watched directory",
    by: [shown(
      "watch.test.ts",
      "watch sends what is there and what comes",
      "watch sends a growing file once, and whole",
      "watch removes only with --delete",
      "watch sends after kill -9 only what changed",
    )],
  },
  26: {
    what: "Placement rules",
    by: [shown(
      "rules.test.ts",
      "a rule of the master's file decides where new files go",
      "a rule that is added has the copies of files moved that are there",
    )],
  },
  27: {
    what: "Atomic replacement, and a mark in the list",
    by: [features("row 27:"), shown("spine.test.ts", "put replaces a file atomically")],
  },
  28: {
    what: "Clear answers, exit statuses, waiting",
    by: [
      features("row 28:"),
      faults("all ports busy: put waits and says so", "too few keepers: put says how many"),
      shown("bad_input.test.ts", "%s is refused"),
    ],
  },
  29: {
    what: "Lists",
    by: [shown(
      "commands.test.ts",
      "ls takes several paths and patterns",
      "ls sorts, and prints one JSON array",
    )],
  },
  30: {
    what: "Downloads to a chosen folder",
    by: [
      features("row 30:"),
      shown("bad_input.test.ts", "a full disk of the client is said, leaves the old file"),
      shown("resume.test.ts", "a get that was killed fetches only the rest"),
    ],
  },
};

/** What must not be. */
export const NEVER: Readonly<Record<number, Row>> = {
  1: {
    what: "A port that stays busy for ever",
    by: [faults("a client killed in mid-upload: slots free", "all ports busy: put waits")],
  },
  2: {
    what: "A copy that counts, and is bad",
    by: [
      shown("hostile.test.ts", "wrong lengths and wrong sums are refused, and no chunk is made"),
      faults("a byte flipped on one disk"),
    ],
  },
  3: { what: "Tables in memory only", by: [faults("kill -9 of everything at once")] },
  4: {
    what: "Waiting with the lock that freeing needs",
    by: [faults("all ports busy: put waits and says so, then fails; free again")],
  },
  5: {
    what: "No check of the bytes",
    by: [
      faults("a byte flipped on one disk: get returns the right bytes"),
      shown("resume.test.ts", "a partial with wrong bytes is repaired"),
    ],
  },
  6: {
    what: "Old and new copies mixed",
    by: [features("row 27:"), faults("two puts of one path at once: one whole version wins")],
  },
  7: {
    what: "No time-outs, no resume",
    by: [
      faults("a keeper killed in mid-download", "a keeper stopped (SIGSTOP) in mid-download"),
      shown("resume.test.ts", "a put that was killed sends only the rest"),
      shown("master_gone.test.ts", "commands end with status 5 when the master is gone"),
    ],
  },
  8: {
    what: "Heartbeats in the way of transfers; a returning keeper that loses its files",
    by: [
      features("row 12:", "row 16:"),
      faults("a dead keeper's chunks are copied again; surplus goes when it returns"),
    ],
  },
  9: {
    what: "Code and paths from the network; users never checked",
    by: [
      shown(
        "hostile.test.ts",
        "forged, foreign, expired and misused tickets",
        "tricks in chunk ids never reach the disk",
        "a client can't send heartbeats, reports or commands",
      ),
      shown("bad_input.test.ts", "a wrong secret is denied"),
      shown("trees.test.ts", "nothing is written through a symbolic link"),
    ],
  },
  10: {
    what: "Whole files in memory; success before anything is safe",
    by: [features("never 10:"), faults("kill -9 of everything at once: all that was acknowledged")],
  },
};
