/* base/log.h - structured log records.
 *
 * A record is a constant lower-case message plus fields:
 *     log_info("node registered", KV("node_id", id), KI("servers", n));
 *     return log_error(r, "cannot read config", KV("path", path));
 * On a terminal or in a file a record is a line "TIME [INFO]  message key=value"; when standard
 * error is the journal's (JOURNAL_STREAM) it goes to the journal with PRIORITY and one PICKET_*
 * field per key.  Writing never blocks: what a full pipe or socket refuses is dropped and counted,
 * and the count is shown by the next record.
 *
 * Who decides, logs, once: the library layers (base codec model wire state) do not log above debug.
 * Secrets are never passed here.
 */
#pragma once

#include "base/list.h"

enum log_level {
    LOG_LEVEL_TRACE,
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARN,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_OFF,
    LOG_LEVEL_MAX,
};

struct log_field {
    const char *key; /* NULL ends nothing: a field without a key is skipped */
    const char *text;
    int64_t number;
    bool is_number;
};

#define KV(k, v) ((struct log_field){.key = (k), .text = (v)})
#define KI(k, v) ((struct log_field){.key = (k), .number = (int64_t)(v), .is_number = true})
/* the sentence of a struct err */
#define KE(e)            ((struct log_field){.key = "error", .text = (e)->text})

#define LOG_FIELDS_(...) ((const struct log_field[]){{.key = NULL}, ##__VA_ARGS__})
#define LOG_AT_(level, code, msg, ...)                                                             \
    log_record((level), (code), (msg), __FILE__, __LINE__, __func__, LOG_FIELDS_(__VA_ARGS__),     \
               sizeof(LOG_FIELDS_(__VA_ARGS__)) / sizeof(struct log_field))
#define log_debug(msg, ...)       ((void)LOG_AT_(LOG_LEVEL_DEBUG, 0, (msg), ##__VA_ARGS__))
#define log_info(msg, ...)        ((void)LOG_AT_(LOG_LEVEL_INFO, 0, (msg), ##__VA_ARGS__))
#define log_warn(code, msg, ...)  LOG_AT_(LOG_LEVEL_WARN, (code), (msg), ##__VA_ARGS__)
#define log_error(code, msg, ...) LOG_AT_(LOG_LEVEL_ERROR, (code), (msg), ##__VA_ARGS__)

/* Writes a record, and formats it only when somebody wants it; code is a negative errno (shown as
 * error=...) or 0; returns code */
int log_record(enum log_level level, int code, const char *msg, const char *file, int line,
               const char *func, const struct log_field *fields, size_t n);
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* "trace" ... "off", any case; -EINVAL */
int log_level_parse(const char *s, enum log_level *ret) _must_check_;
const char *log_level_name(enum log_level level); /* "INFO" */
void log_set_json(bool on); /* one JSON object per line: @level @message @timestamp fields */

/* Who else reads the records as they are written: log streams.  level and json are the tap's own,
 * also when the log leaves such records out or has another form; the line (without its end) is
 * borrowed.  A record that fn itself causes reaches no tap.  fn may remove its own tap only. */
struct log_tap {
    struct list link;
    enum log_level level;
    bool json;
    void (*fn)(void *arg, const char *line);
    void *arg;
};
void log_tap_add(struct log_tap *t);    /* borrowed until it is removed */
void log_tap_remove(struct log_tap *t); /* harmless when it was not added (zeroed) */
uint64_t log_dropped(void);             /* records that could not be written */
