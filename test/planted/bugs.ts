/**
 * The planted bugs (RELIABILITY.md §6): each is a change of one place of the product that a test
 * must notice. `seeds` name simulated histories; `test` names a test by file and title, where no
 * history in one thread can show the bug.
 */

export interface PlantedBug {
  name: string;
  file: string;
  /** Texts that stand there exactly once, and what takes the place of each. */
  edits: readonly { find: string; replace: string }[];
  caughtBy: { seeds: { from: number; count: number } } | { test: string; title: string };
}

export const PLANTED: readonly PlantedBug[] = [
  {
    name: "skip fsync",
    file: "src/chunks/draft_files.ts",
    edits: [{
      find: "    file.datasync(),\n    sidecar.datasync(),\n",
      replace: "    Promise.resolve(),\n    sidecar.datasync(),\n",
    }, {
      find: "    file.datasync(),\n    writeSidecar",
      replace: "    Promise.resolve(),\n    writeSidecar",
    }],
    caughtBy: { seeds: { from: 1, count: 20 } },
  },
  {
    name: "skip directory sync",
    file: "src/chunks/directory_syncs.ts",
    edits: [{
      find: "const running = this.#disk.syncDirectory(path);",
      replace: "const running = Promise.resolve();",
    }],
    caughtBy: { seeds: { from: 1, count: 20 } },
  },
  {
    name: "commit before reports",
    file: "src/keeper/landing.ts",
    edits: [{
      find: "const keepers = [keeperId, ...wait ? await forward : []];",
      replace: "const keepers = incoming.ticket.hops.map(({ keeper }) => keeper);\n    void wait;",
    }],
    caughtBy: { seeds: { from: 1, count: 100 } },
  },
  {
    name: "ignore sums",
    file: "src/client/transfer.ts",
    edits: [{
      find:
        "if (isRight === undefined ? hashBlock(bytes) !== getSum(sums, block) : !isRight(bytes)) {",
      replace:
        'if (chunk === "" && hashBlock(bytes) !== getSum(sums, block) && isRight !== undefined) {',
    }],
    caughtBy: { seeds: { from: 850, count: 60 } },
  },
  {
    name: "reuse an id",
    file: "src/master/chunk_ids.ts",
    edits: [{
      find: "return this.#shelf + randomHex(this.#random, 14);",
      replace: "return randomHex(this.#random, 1).slice(1).repeat(32);",
    }],
    caughtBy: { seeds: { from: 1, count: 100 } },
  },
  {
    name: "no epoch check",
    file: "src/keeper/master_epoch.ts",
    edits: [{
      find: "if (epoch >= this.newest) return;",
      replace: "if (epoch >= 0) return;",
    }],
    caughtBy: {
      test: "test/keeper/commands.test.ts",
      title: "a master that is not the newest is refused",
    },
  },
  {
    name: "removal without grace",
    file: "src/master/sweeper.ts",
    edits: [{
      find: "const beforeMs = this.#cautiousMs() - settings.grace;",
      replace: "const beforeMs = this.#cautiousMs();\n    void settings;",
    }],
    caughtBy: { seeds: { from: 1, count: 20 } },
  },
  {
    name: "answer before the transaction",
    file: "src/catalog/writer.ts",
    edits: [{
      find: 'this.#tx.run("BEGIN IMMEDIATE");',
      replace: 'try { this.#tx.run("BEGIN IMMEDIATE"); } catch { void 0; }',
    }, {
      find: 'this.#tx.run("COMMIT");',
      replace: 'if (sequence % 4 === 0) this.#tx.run("COMMIT");',
    }],
    caughtBy: { seeds: { from: 1, count: 300 } },
  },
  {
    name: "serve a temporary file",
    file: "src/chunks/chunk_store.ts",
    edits: [{
      find: "if (sizeBytes === undefined) return await this.#missing();",
      replace: `if (sizeBytes === undefined) {
      const names = await disk.list(INCOMING);
      const name = names.find((each) => each.startsWith(id) && !each.endsWith(".json"));
      if (name === undefined) return await this.#missing();
      const path = \`\${INCOMING}/\${name}\`;
      return { kind: "found", body: disk.body(path), sizeBytes: disk.sizeOf(path) ?? 0 };
    }`,
    }],
    caughtBy: { seeds: { from: 1, count: 100 } },
  },
  {
    name: "ignore close code 0",
    file: "src/threads.ts",
    edits: [{
      find: `worker.addEventListener("close", () => {`,
      replace: `worker.addEventListener("close", (event) => {
    if ((event as CloseEvent).code === 0) return;`,
    }],
    caughtBy: { test: "test/threads/spawn.test.ts", title: "spawnThread" },
  },
  {
    name: "trust the keeper's sum",
    file: "src/master/reports.ts",
    edits: [{
      find: "if (ticket.sizeBytes !== request.sizeBytes || !sameSums(ticket.sums, request.sums)) {",
      replace: "if (ticket.sizeBytes !== request.sizeBytes) {",
    }],
    caughtBy: {
      test: "test/master/upload.test.ts",
      title: "A report with other sums than the client's is refused",
    },
  },
  {
    name: "leak a slot",
    file: "src/keeper/landing.ts",
    edits: [{
      find: "for (const grant of held) ports.drop(row, grant);",
      replace: "for (const grant of held.slice(1)) ports.drop(row, grant);",
    }],
    caughtBy: { seeds: { from: 1, count: 20 } },
  },
  {
    name: "answer before the commit of a pack",
    file: "src/client/packs/send.ts",
    edits: [{
      find: "return await commitWanted(context, pack, latest.placement.chunk, options);",
      replace: `void commitWanted(context, pack, latest.placement.chunk, options).catch(() => {});
  const { replicas: goal = 2 } = options;
  return pack.files.map((file) => {
    return { ...file, version: 0, copies: goal, goal };
  });`,
    }],
    caughtBy: { seeds: { from: 1, count: 100 } },
  },
  {
    name: "one copy of a compacted pack",
    file: "src/master/compactor.ts",
    edits: [{
      find: "const minCopies = Math.min(goal, Math.max(settings.min_copies, held));",
      replace: "const minCopies = 1;\n    void settings;\n    void held;",
    }, {
      find: "const wish = { goal, minCopies, policy };",
      replace: "const wish = { goal: 1, minCopies, policy };\n    void goal;",
    }],
    caughtBy: { seeds: { from: 1, count: 100 } },
  },
  {
    name: "commit a condemned pack",
    file: "src/catalog/pack_places.ts",
    edits: [{
      find: "if (row.condemned === 0) return row;",
      replace: "if (row.condemned <= 1) return row;",
    }],
    caughtBy: { seeds: { from: 60, count: 240 } },
  },
  {
    name: "the last file decides for its pack",
    file: "src/catalog/wish.ts",
    edits: [{
      find: "return { goal: Math.max(placing.goal, goal), policy: joined.policy, parted };",
      replace: "return { goal, policy, parted };",
    }],
    caughtBy: {
      test: "test/catalog/model.test.ts",
      title: "the catalog does what a model does",
    },
  },
];
