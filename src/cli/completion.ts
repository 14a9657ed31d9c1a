/** `tydfs completion`: prints the script with which bash, zsh or fish completes command lines. */
import type { Command } from "@commander-js/extra-typings";
import { Argument } from "@commander-js/extra-typings";
import type { Session } from "./session.ts";
import { readTree } from "./tree.ts";

const SHELLS = ["bash", "zsh", "fish"] as const;

const TEXT = `
Commands, flags and their words come from the script itself; remote names and
saved connections are asked of tydfs at each Tab. Make the script anew after an
upgrade, or load it at each start as the first lines show.

bash, in ~/.bashrc:
  source <(tydfs completion bash)
zsh, in ~/.zshrc behind compinit:
  source <(tydfs completion zsh)
fish:
  tydfs completion fish > ~/.config/fish/completions/tydfs.fish

Examples:
  tydfs completion bash > /etc/bash_completion.d/tydfs
  tydfs completion zsh > ~/.zfunc/_tydfs
  tydfs completion fish | source
`;

/** Declares the command. */
export function addCompletion(program: Command, session: Session): void {
  program.command("completion")
    .description("Print the completion script of a shell")
    .addArgument(new Argument("<SHELL>", "The shell that is to complete").choices(SHELLS))
    .addHelpText("after", TEXT)
    .action(async (shell) => {
      const tree = readTree(program);
      session.output.line(await scriptOf(shell, tree));
    });
}

async function scriptOf(shell: typeof SHELLS[number], tree: ReturnType<typeof readTree>) {
  switch (shell) {
    case "bash":
      return (await import("./completion/bash.ts")).bashScript(tree);
    case "zsh":
      return (await import("./completion/zsh.ts")).zshScript(tree);
    case "fish":
      return (await import("./completion/fish.ts")).fishScript(tree);
  }
}
