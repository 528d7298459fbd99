/* tests/support/crash_vfs.h - a disk for SQLite that loses, tears, reorders, fails and hangs.
 *
 * A VFS whose files are in memory: what the process sees (the kernel's cache), what is on the disk,
 * and all that was written in between since the last sync, in sectors of 512 bytes.  Each operation
 * (read, write, sync, truncate, delete, making a file) has a number, and at one of them the process
 * can die or the disk can fail.  What survives:
 *
 * - killed: all that was written, the last write in part; what was not synced may still get lost
 * - power lost: of what was not synced each sector, each length and each entry of the folder is
 *   there, as it was at some moment, or not
 *
 * A sync that failed leaves some of the sectors unwritten for good although the kernel takes them
 * for written, and may take them out of the cache as well.
 *
 * Its files have no shared memory: who uses them must hold them alone.  Calls may come from any
 * thread.
 */
#pragma once

#include "base/mem.h"

struct crash_disk;

enum crash_fault {
    CRASH_NONE,
    CRASH_DIES,       /* at that operation and for ever after: the process is gone */
    CRASH_EIO,        /* that operation fails */
    CRASH_EIO_LASTS,  /* that one and all later ones */
    CRASH_SYNC,       /* the next sync fails */
    CRASH_SYNC_LASTS, /* and all later ones */
    CRASH_FULL_LASTS, /* writes end in the middle with ENOSPC from then on */
    CRASH_FAULTS,
};

/* one at a time: it is SQLite's VFS "crash" */
struct crash_disk *crash_disk_new(uint64_t seed);
struct crash_disk *crash_disk_free(struct crash_disk *d);

/* the fault happens at the nth operation from now, 1 being the next; forgets an earlier one */
void crash_disk_arm(struct crash_disk *d, enum crash_fault fault, uint64_t nth);
bool crash_disk_fired(struct crash_disk *d);
bool crash_disk_dead(struct crash_disk *d);
uint64_t crash_disk_ops(struct crash_disk *d); /* so far */
/* The next start finds what survived; all files have been closed.  Takes the fault away. */
void crash_disk_killed(struct crash_disk *d);
void crash_disk_power_lost(struct crash_disk *d);

/* a file that has always been there */
void crash_disk_put(struct crash_disk *d, const char *name, const void *p, size_t n);

/* syncs hang until it is off again */
void crash_disk_hang(struct crash_disk *d, bool on);
bool crash_disk_hangs(struct crash_disk *d); /* one does right now */
