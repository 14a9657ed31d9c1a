/** The entry point: hands the command line to the roof and leaves with its exit status. */
import { runCli } from "./cli/program.ts";

process.exit(await runCli(process.argv.slice(2), process.env));
