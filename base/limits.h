/* base/limits.h - every ceiling on a size that comes from outside, each with its reason. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    KIB = 1024,
    MIB = 1024 * KIB,
};

/* files */
#define READ_CAP_PROC    ((size_t)4 * MIB)  /* /proc/cpuinfo of 1,000 cores is 1.5 MB */
#define READ_CAP_CONFIG  ((size_t)4 * MIB)  /* a configuration file a person wrote */
#define CONFIG_TOTAL_MAX ((size_t)16 * MIB) /* all configuration files of a program */
#define READ_CAP_STATE   ((size_t)1 * MIB)  /* identity files, journals of the agent */

/* codecs */
#define MP_DEPTH_MAX   32                 /* nesting; a Job inside an Allocation is 14 deep */
#define MP_EXPAND_MAX  16                 /* bytes decoded per byte of input; real objects: 2-6 */
#define MP_EXPAND_FREE ((size_t)64 * KIB) /* on top of that, for tiny objects */
#define JSON_DEPTH_MAX 32
/* Values of one JSON document, of each element in a list of answers.  A tree of json-c takes 72
 * bytes for a number, some 180 for a member of a usual object, 792 for {}: at most 104 MB, where
 * [{},{},... of 1 MB would make 277.  A node has some 300 values. */
#define JSON_VALUES_MAX (128 * KIB)
#define HCL_DEPTH_MAX   64
#define HCL_VALUES_MAX  10000 /* values of one file; a person writes a few hundred */

/* RPC */
#define RPC_BODY_MAX      ((size_t)16 * MIB) /* a node is 4-40 KB; an alloc with its job under 1 MB */
#define RPC_HEADER_MAX    ((size_t)4 * KIB)   /* {Seq, ServiceMethod} */
#define RPC_SESSION_MAX   ((size_t)64 * MIB)  /* request bodies of one peer in memory at once */
#define RPC_STREAM_MAX    ((size_t)64 * KIB)  /* unsent bytes of a streaming RPC */
#define RPC_OBJECT_MAX    ((size_t)1 * MIB)   /* one object of it; Nomad's frames are 90 KB */
#define YAMUX_WINDOW      ((size_t)256 * KIB) /* fixed by the protocol */
#define YAMUX_STREAMS_MAX 1024 /* open streams per session; the peer's backlog is 256 */
#define CONN_IN_MAX       ((size_t)1 * MIB)  /* bytes left unread for later; then the conn fails */
#define CONN_OUT_MAX      ((size_t)32 * MIB) /* unsent bytes per connection before it is dropped */

/* all connections of the process together (wire/budget.h, wire/pace.h, wire/fds.h) */
#define PEERS_IN_MAX  ((size_t)512 * MIB)  /* bodies that are arriving or wait for an answer */
#define PEERS_OUT_MAX ((size_t)1024 * MIB) /* answers that have not left; ten of 100,000 nodes */
#define AGENT_IN_MAX  ((size_t)64 * MIB)  /* the same of an agent, whose API a few people ask ... */
#define AGENT_OUT_MAX ((size_t)256 * MIB) /* ... for lists of 100,000 nodes, too */
#define PEERS_SMALL   ((size_t)64 * KIB)  /* up to this a body may use the last quarter of both */
#define PACE_SEC      120                 /* what is sent or received may take so long ... */
#define PACE_BYTES    ((size_t)64 * KIB)  /* ... and a second for so many bytes */
#define FDS_RESERVE   128 /* descriptors that peers cannot take from the rest of the program */
#define RPC_SPARED    20  /* connections of a client that may not be streams (type byte 05) */
#define LATE_LOOK_SEC 1   /* a deadline found bytes that we had not got round to reading */

/* HTTP */
#define HTTP_HEAD_MAX   ((size_t)32 * KIB)  /* request line and headers; beyond it 431 */
#define HTTP_BODY_MAX   ((size_t)1 * MIB)   /* request bodies are drain specs; beyond it 413 */
#define MONITOR_MAX     ((size_t)32 * KIB)  /* log lines that a slow reader has not got yet */
#define HTTP_STREAM_MAX ((size_t)64 * KIB)  /* unsent bytes of an answer that goes on */
#define HTTP_REPLY_MAX  ((size_t)256 * MIB) /* 100,000 list stubs are 71 MB */
#define LOG_FRAME_MAX   ((size_t)1 * MIB) /* one piece of a log stream as it comes to the command */
/* texts of lists that slow readers hold, beyond twice what the nodes of now have */
#define TEXTS_LIVE_MAX ((size_t)256 * MIB)

/* objects */
#define NODE_PACKED_MAX                                                                            \
    ((size_t)1 * MIB) /* a registered node; beyond it the registration fails                       \
                       */
#define WRITES_WAITING_MAX ((size_t)256 * MIB) /* requests that wait for the disk, of all peers */
#define EMIT_NODES_MAX     100  /* nodes of one Node.EmitEvents; an agent sends its own */
#define EMIT_EVENTS_MAX    1000 /* events of one Node.EmitEvents; ten of a node are kept */
#define NODE_EVENTS_MAX    10   /* Nomad's MaxRetainedNodeEvents */
#define NODE_META_MAX      ((size_t)64 * KIB) /* keys and values that were set at run time */
#define FLAPPING_MAX       256 /* facts of a node that are watched for changing again and again */
#define EVENT_TEXT_MAX     ((size_t)1024)     /* bytes of a message or detail that an agent sends */
#define DISKS_MAX          256                /* mounted file systems whose usage is told */
#define PROBE_RECORD_MAX   ((size_t)1 * MIB)  /* one probe's result on its pipe */
#define JOB_OUTPUT_MAX     ((size_t)64 * KIB) /* the answer to an odd job: addresses, a user */
#define JOB_FILES_MAX      (CONFIG_TOTAL_MAX + MIB) /* the configuration files, packed */
#define PROBE_OUTPUT_MAX   ((size_t)8 * MIB)        /* all that one probe child may write */

/* snapshots of the server's state; 100,000 nodes of 10 KB are 1 GB, some 100 MB as a file */
#define SNAPSHOT_FILE_MAX  (UINT64_C(4) << 30) /* the archive, as it is uploaded too */
#define SNAPSHOT_STATE_MAX (UINT64_C(7) << 30) /* its state.bin; a tar says less than 8 */
#define SNAPSHOT_NODES_MAX UINT64_C(4000000)
#define SNAPSHOT_RATIO_MAX 512 /* inflated by deflated bytes: zip bombs are near 1,030 */
#define SNAPSHOT_META_MAX  ((size_t)64 * KIB) /* its other members */
#define SNAPSHOTS_MAX      4                  /* that are being written at once */
#define UPLOAD_HELD_MAX    ((size_t)1 * MIB)  /* of an upload, on the way to the disk */

/* picket-sim */
#define SIM_AGENTS_MAX   1000000            /* of one process; descriptors end sooner */
#define SIM_STEPS_MAX    10000              /* of one script */
#define SIM_LINE_MAX     ((size_t)1024)     /* of one step */
#define SIM_SCRIPT_MAX   ((size_t)1 * MIB)  /* a script that a person or a program wrote */
#define SIM_PROFILE_MAX  ((size_t)1 * MIB)  /* a node; more would not be registered */
#define SIM_TEXT_MAX     ((size_t)64 * KIB) /* one text of a profile, filled in */
#define SIM_PROFILES_MAX 64                 /* in one mix */
