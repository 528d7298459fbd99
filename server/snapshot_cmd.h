/* server/snapshot_cmd.h - `picket-server snapshot save|inspect|restore FILE`: snapshots of a
 * running server over its HTTP API, and what a file holds, without one.
 *
 * A program of its own as to everything: it blocks, and has no loop.  The file is written beside
 * its place, read back and checked, made durable, and then put there.
 */
#pragma once

/* argv[0] is "snapshot"; the exit status */
int snapshot_command(int argc, char **argv);
