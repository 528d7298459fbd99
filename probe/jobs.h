/* probe/jobs.h - the odd jobs: what daemons want done that may block, one a process. */
#pragma once

#include "base/err.h"

enum { ODD_JOB_ANY_ARGS = -1 };

struct odd_job {
    const char *flag;
    const char *usage; /* its arguments */
    int n_args;        /* or ODD_JOB_ANY_ARGS; they end with a NULL */
    uint64_t caps;     /* PROBE_CAP() bits it needs; every other capability is dropped */
    /* writes its answer to stdout; root as in struct probe_ctx */
    int (*run)(const char *root, char *const *args, struct err *e);
};
extern const struct odd_job odd_jobs[];
extern const size_t n_odd_jobs;

const struct odd_job *odd_job_find(const char *flag); /* or NULL */
