/** The lines at the bottom of a terminal: drawn, replaced, out of the way, and gone at the end. */
import { expect, test } from "bun:test";
import { Board } from "../../src/cli/board.ts";

function world() {
  const screen = { text: "", columns: 80 };
  const board = new Board((text) => void (screen.text += text), () => screen.columns);
  return { screen, board };
}

test("show replaces the lines before, and leaves nothing at the end", () => {
  const { screen, board } = world();
  board.show(["one", "two"]);
  board.show(["three"]);
  board.show([]);
  expect(screen.text).toBe("one\ntwo\r\x1b[1A\x1b[Jthree\r\x1b[J");
});

test("above takes the lines away, and restore brings them back", () => {
  const { screen, board } = world();
  board.show(["bar"]);
  board.above(() => void (screen.text += "message\n"));
  board.restore();
  expect(screen.text).toBe("bar\r\x1b[Jmessage\nbar");
});

test("without lines other output is untouched", () => {
  const { screen, board } = world();
  board.above(() => void (screen.text += "message\n"));
  board.restore();
  expect(screen.text).toBe("message\n");
});

test("a window that became narrower has broken lines, and they go, too", () => {
  const { screen, board } = world();
  board.show(["x".repeat(70), "y"]);
  screen.columns = 30;
  screen.text = "";
  board.show([]);
  expect(screen.text).toBe("\r\x1b[3A\x1b[J");
});
