/** What becomes of copied files and of facts that are set, said as sessions. */
import { session } from "./session.ts";

session("a copy is a version of its own with the same chunks", [
  ["put /a x", "/a v4, 10 bytes, 2/3"],
  ["set /a mode=600 mtime=5", "ok"],
  ["cp /a /d/b", "v6"],
  ["stat /a", "file v4, 10 bytes, 0600 ann at 5"],
  ["stat /d/b", "file v6, 10 bytes, 0600 bob at 5"],
  ["stat /d", "directory v6, 0 bytes, 0755 bob at 1005"],
  ["chunk x", "2 refs, 2/3 copies on 0,1"],
  ["cp /a /d/b", "v7"],
  ["cp -n /a /d/b", 'exists: Cannot copy "/a" to "/d/b": it exists already'],
  ["chunk x", "3 refs, 2/3 copies on 0,1"],
  ["purge 10", "1 purged"],
  ["rm /a", "1 files, 0 directories"],
  ["purge 10", "1 purged"],
  ["chunk x", "1 refs, 2/3 copies on 0,1"],
  ["cp /d/b /c", "v11"],
  ["rm -r /d", "1 files, 1 directories"],
  ["rm /c", "1 files, 0 directories"],
  ["purge 10", "2 purged"],
  ["chunk x", "0 refs, 2/3 copies on 0,1 orphan since 1014"],
]);

session("cp refuses what is no file, and what it would lose", [
  ["put /f", "/f v4, 10 bytes, 2/3"],
  ["mkdir /d", "made"],
  ["cp /none /x", 'not-found: Cannot copy "/none": no such file or directory'],
  ["cp /d /x", 'is-directory: Cannot copy "/d": it is a directory'],
  ["cp / /x", 'is-directory: Cannot copy "/": it is a directory'],
  ["cp /f /d", 'is-directory: Cannot copy "/f" to "/d": it is a directory'],
  ["cp /f /f", 'invalid: Cannot copy "/f" to "/f": they are the same file'],
  ["cp /f /f/x", 'not-directory: Cannot copy "/f" to "/f/x": "/f" is a file'],
  ["ls -r /", "/d/ /f"],
]);

session("cp copies files of several chunks, and of none", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["place u 1 10 y 7 k0,k1", "ok"],
  ["commit u x=10,y=7", "/big v7, 17 bytes, 2/3"],
  ["cp /big /twin", "v8"],
  ["chunk y", "2 refs, 2/3 copies on 0,1"],
  ["begin v /empty", "ok"],
  ["commit v", "/empty v10, 0 bytes, 3/3"],
  ["cp /empty /void", "v11"],
  ["stat /void", "file v11, 0 bytes, 0644 bob at 7"],
]);

// A report that is repeated answers the version that it made, never that of a copy.
session("a repeated report tells the copied file from its copy", [
  ["put /f x", "/f v4, 10 bytes, 2/3"],
  ["cp /f /copy", "v5"],
  ["put /f x", "/f v4, 10 bytes, 2/3"],
  ["rm /f", "1 files, 0 directories"],
  ["put /f x", "/f v4, 10 bytes, 2/3"],
  ["purge 10", "1 purged"],
  ["put /f x", 'conflict: Cannot commit "/f": it was committed before, and removed since'],
  ["chunk x", "1 refs, 2/3 copies on 0,1"],
  ["ls /", "/copy"],
]);

session("set changes modes and times in place; a file can become a link, a directory not", [
  ["put /f", "/f v4, 10 bytes, 2/3"],
  ["mkdir /d", "made"],
  ["set /f mode=4755", "ok"],
  ["set /f mtime=-1", "ok"],
  ["stat /f", "file v4, 10 bytes, 04755 ann at -1"],
  ["set /f mode=120777", "ok"],
  ["stat /f", "file v4, 10 bytes, 0120777 ann at -1"],
  ["set /f mode=0", "ok"],
  ["set /f", "ok"],
  ["stat /f", "file v4, 10 bytes, 00 ann at -1"],
  [
    "set /f mode=100644",
    'invalid: Cannot change "/f": mode 0100644 has more than the permissions of a file',
  ],
  [
    "set /f mode=400120777",
    'invalid: Cannot change "/f": mode 0400120777 has more than the permissions of a file',
  ],
  ["set /d mode=700 mtime=9", "ok"],
  ["stat /d", "directory v5, 0 bytes, 0700 ann at 9"],
  [
    "set /d mode=120777",
    'invalid: Cannot change "/d": mode 0120777 has more than the permissions of a directory',
  ],
  ["set /none mode=700", 'not-found: Cannot change "/none": no such file or directory'],
]);

session("mkdir records the mode and time that it is given, of the last directory only", [
  ["mkdir -p /a/b 700 5", "made"],
  ["stat /a", "directory v4, 0 bytes, 0755 ann at 1003"],
  ["stat /a/b", "directory v4, 0 bytes, 0700 ann at 5"],
  ["mkdir -p /a/b 711 6", "there"],
  ["stat /a/b", "directory v4, 0 bytes, 0700 ann at 5"],
  [
    "mkdir /c 40755",
    'invalid: Cannot make directory "/c": mode 040755 has more than the permissions of a directory',
  ],
]);
