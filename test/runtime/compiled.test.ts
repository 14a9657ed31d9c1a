/** Contract: what build.ts relies on of `Bun.build({ compile })`. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { makeTemporaryDir } from "./fixture.ts";

const main = `
const file = Bun.embeddedFiles.find((each) => each.name === "nats-server");
const thrown = (() => { try { (() => { throw new Error("x"); })(); } catch (e) { return e.stack; } })();
const worker = new Worker("./workers/echo.ts");
worker.onmessage = async ({ data }) => {
  console.log(JSON.stringify({
    info: TYDFS_BUILD_INFO,
    standalone: Bun.isStandaloneExecutable,
    root: import.meta.dir,
    arguments: process.argv.slice(2),
    embedded: await file.text(),
    fromDotEnv: process.env.FROM_DOT_ENV ?? null,
    stack: thrown.includes("src/main.ts"),
    echo: data,
  }));
  process.exit(0);
};
worker.postMessage("hello");
`;

test("a compiled binary has its threads, file and facts, and nothing from around it", async () => {
  using dir = makeTemporaryDir();
  for (const folder of ["src", "workers", "elsewhere"]) mkdirSync(dir.file(folder));
  writeFileSync(dir.file("src/main.ts"), main);
  writeFileSync(
    dir.file("workers/echo.ts"),
    "self.onmessage = (event) => self.postMessage(event.data);",
  );
  writeFileSync(dir.file("nats-server"), "the embedded file");
  writeFileSync(dir.file("elsewhere/.env"), "FROM_DOT_ENV=1");
  await Bun.build({
    entrypoints: [dir.file("src/main.ts"), dir.file("workers/echo.ts")],
    root: dir.path,
    target: "bun",
    format: "esm",
    bytecode: true,
    minify: true,
    sourcemap: "linked",
    define: { TYDFS_BUILD_INFO: JSON.stringify({ version: "1.2.3", natsServer: null }) },
    compile: {
      outfile: dir.file("binary"),
      assets: [dir.file("nats-server")],
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  const run = Bun.spawn([dir.file("binary"), "status", "--json"], { cwd: dir.file("elsewhere") });
  expect(JSON.parse(await run.stdout.text())).toEqual({
    info: { version: "1.2.3", natsServer: null },
    standalone: true,
    root: "/$bunfs/root",
    arguments: ["status", "--json"],
    embedded: "the embedded file",
    fromDotEnv: null,
    stack: true,
    echo: "hello",
  });
}, 60_000);
