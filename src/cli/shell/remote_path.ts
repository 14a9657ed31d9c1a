/** Remote paths as they are typed in the shell: relative to a working directory. */

/**
 * The whole path that `text` means in `directory`: `.` and `..` are resolved by name, `..` of the
 * root is the root. A slash at the end stays, since it says that a directory is meant.
 */
export function resolveRemotePath(directory: string, text: string): string {
  if (text === "") return text;
  const parts: string[] = [];
  for (const part of (text.startsWith("/") ? text : `${directory}/${text}`).split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  const path = "/" + parts.join("/");
  return text.endsWith("/") && path !== "/" ? `${path}/` : path;
}
