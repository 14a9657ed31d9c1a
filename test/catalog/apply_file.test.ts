/** What becomes of names, said as sessions: each line an operation and its verdict. */
import { session } from "./session.ts";

session("put makes parents, versions grow, and a replaced file says so", [
  ["put /a/b/c", "/a/b/c v4, 10 bytes, 2/3"],
  ["ls -r /", "/a/ /a/b/ /a/b/c"],
  ["put /a/b/c", "/a/b/c v5, 10 bytes, 2/3, replaced"],
  ["put -x /a/b/c", 'exists: Cannot commit "/a/b/c": it exists already'],
  ["put -x /a/b/d", "/a/b/d v6, 10 bytes, 2/3"],
  ["put /a/b", 'is-directory: Cannot commit "/a/b": it is a directory'],
  ["put /", 'is-directory: Cannot commit "/": it is a directory'],
  ["put /a/b/c/d/e", 'not-directory: Cannot commit "/a/b/c/d/e": "/a/b/c" is a file'],
  ["ls -r /", "/a/ /a/b/ /a/b/c /a/b/d"],
]);

session("lists are in the byte order of depth-first paths", [
  ["put /a/x", "/a/x v4, 10 bytes, 2/3"],
  ["put /a.b", "/a.b v5, 10 bytes, 2/3"],
  ["put /a-b/z", "/a-b/z v6, 10 bytes, 2/3"],
  ["put /a0", "/a0 v7, 10 bytes, 2/3"],
  ["put /é", "/é v8, 10 bytes, 2/3"],
  ["put /😀", "/😀 v9, 10 bytes, 2/3"],
  ["put /\uffef", "/\uffef v10, 10 bytes, 2/3"],
  ["ls -r /", "/a-b/ /a-b/z /a.b /a/ /a/x /a0 /é /\uffef /😀"],
  ["ls /", "/a-b/ /a.b /a/ /a0 /é /\uffef /😀"],
  ["ls /a", "/a/x"],
  ["ls /a/x", "/a/x"],
  ["ls /b", 'not-found: Cannot list "/b": no such file or directory'],
  ["ls /a0/b", 'not-found: Cannot list "/a0/b": "/a0" is a file'],
]);

session("mkdir makes one directory, with -p all that are missing", [
  ["mkdir /a", "made"],
  ["mkdir /a", 'exists: Cannot make directory "/a": a directory is there already'],
  ["mkdir -p /a", "there"],
  ["mkdir -p /", "there"],
  ["mkdir /", 'exists: Cannot make directory "/": a directory is there already'],
  [
    "mkdir /x/y",
    'not-found: Cannot make directory "/x/y": the directory above it does not exist; use --parents',
  ],
  ["mkdir -p /x/y/z", "made"],
  ["put /f", "/f v8, 10 bytes, 2/3"],
  ["mkdir -p /f", 'exists: Cannot make directory "/f": a file is there already'],
  ["mkdir -p /f/g", 'not-directory: Cannot make directory "/f/g": "/f" is a file'],
  ["ls -r /", "/a/ /f /x/ /x/y/ /x/y/z/"],
]);

session("rm takes files, empty directories, and with -r whole trees", [
  ["put /a/1", "/a/1 v4, 10 bytes, 2/3"],
  ["put /a/2", "/a/2 v5, 10 bytes, 2/3"],
  ["put /a/b/3", "/a/b/3 v6, 10 bytes, 2/3"],
  ["mkdir /empty", "made"],
  ["rm /a", 'not-empty: Cannot remove "/a": the directory has 3 entries; use --recursive'],
  ["rm /a/b", 'not-empty: Cannot remove "/a/b": the directory has 1 entry; use --recursive'],
  ["rm /", 'invalid: Cannot remove "/": it is the root'],
  ["rm /none", 'not-found: Cannot remove "/none": no such file or directory'],
  ["rm /a/1/x", 'not-found: Cannot remove "/a/1/x": "/a/1" is a file'],
  ["rm /empty", "0 files, 1 directories"],
  ["rm /a/1", "1 files, 0 directories"],
  ["rm -r /a", "2 files, 2 directories"],
  ["ls -r /", ""],
  ["put /a/1", "/a/1 v11, 10 bytes, 2/3"],
]);

session("mv moves files and trees, and refuses what would lose something", [
  ["put /a/b/f", "/a/b/f v4, 10 bytes, 2/3"],
  ["put /g", "/g v5, 10 bytes, 2/3"],
  ["mkdir /d", "made"],
  ["mv /g /d", 'is-directory: Cannot move "/g" to "/d": a directory is there'],
  ["mv /d /g", 'not-directory: Cannot move "/d" to "/g": a file is there'],
  ["mv /d /a", 'exists: Cannot move "/d" to "/a": a directory is there already'],
  [
    "mv /a /a/b/c",
    'invalid: Cannot move "/a" to "/a/b/c": a directory can\'t be moved into itself',
  ],
  ["mv /a/b /a", 'exists: Cannot move "/a/b" to "/a": a directory is there already'],
  ["mv / /x", 'invalid: Cannot move "/" to "/x": the root can\'t be moved or replaced'],
  ["mv /g /", 'invalid: Cannot move "/g" to "/": the root can\'t be moved or replaced'],
  ["mv /none /x", 'not-found: Cannot move "/none": no such file or directory'],
  ["mv /g /a/b/f/x", 'not-directory: Cannot move "/g" to "/a/b/f/x": "/a/b/f" is a file'],
  ["mv /g /g/x", 'not-directory: Cannot move "/g" to "/g/x": "/g" is a file'],
  ["mv -n /g /a/b/f", 'exists: Cannot move "/g" to "/a/b/f": a file is there already'],
  ["mv /g /g", "ok"],
  ["mv /a /a", "ok"],
  ["mv /a/b /ab", "ok"],
  ["ls -r /", "/a/ /ab/ /ab/f /d/ /g"],
  ["mv /g /ab/f", "ok"],
  ["mv /ab /n/e/w", "ok"],
  ["ls -r /", "/a/ /d/ /n/ /n/e/ /n/e/w/ /n/e/w/f"],
  ["purge 10", "1 purged"],
]);
