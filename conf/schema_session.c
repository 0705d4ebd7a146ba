/* The keys of sessions that have a section of their own; the others stand with their route in conf/schema.c. */
#include "conf/conf.h"
#include "conf/schema_rows.h"

/* clang-format off */
static const struct schema_word fail_back_words[] = {{"paced", FAIL_BACK_PACED}, {"never", FAIL_BACK_NEVER}, {NULL, 0}};

const struct schema_row schema_session_rows[] = {
    /* ---- routes[].websocket.backoff ---- */
    {SECTION_BACKOFF, "first", KIND_DURATION, IN(conf_backoff, first_ms), RANGE(10, HOUR), .standard = "1s",
     .applies = APPLIES_WORKER, .doc = "A session that lost its server tries the others at once. When none takes it, it waits so long before it tries again, then twice as long, ..."},
    {SECTION_BACKOFF, "max", KIND_DURATION, IN(conf_backoff, max_ms), RANGE(10, DAY), .standard = "30s",
     .applies = APPLIES_WORKER, .doc = "... and never longer than this. A server that comes back is tried earlier."},
    {SECTION_BACKOFF, "jitter", KIND_PERCENT, IN(conf_backoff, jitter_percent), RANGE(0, 100), .standard = "50%",
     .applies = APPLIES_WORKER, .doc = "Each wait is shorter by up to this share, so that many sessions do not come at the same time."},

    /* ---- routes[].websocket.restore ---- */
    {SECTION_RESTORE, "rate", KIND_UINT, IN(conf_restore, per_s), RANGE(0, 1000000), .standard = "500",
     .applies = APPLIES_WORKER, .doc = "Joins per second that are replayed to one server when another is lost, over all workers. Stay below what the server allows. 0: no limit."},
    {SECTION_RESTORE, "burst", KIND_UINT, IN(conf_restore, burst), RANGE(1, 1000000), .standard = "1000",
     .applies = APPLIES_WORKER, .doc = "So many more at once after a quiet time."},

    /* ---- routes[].websocket.move ---- */
    {SECTION_MOVE, "rate", KIND_UINT, IN(conf_move, per_s), RANGE(0, 1000000), .standard = "50",
     .applies = APPLIES_WORKER, .doc = "Sessions per second that are moved away from a server that drains, or back to a better one, over all workers. 0: no limit."},
    {SECTION_MOVE, "fail_back", KIND_WORD, IN(conf_move, fail_back), .words = fail_back_words, .standard = "paced",
     .applies = APPLIES_WORKER, .doc = "When servers of a better tier are back. paced: sessions move there at move.rate; never: they stay where they are."},

    /* ---- routes[].websocket.quality ---- */
    {SECTION_QUALITY, "excellent", KIND_DURATION, IN(conf_quality, excellent_ms), RANGE(1, HOUR), .standard = "100ms",
     .applies = APPLIES_WORKER, .doc = "A session whose heartbeats take less is excellent, ..."},
    {SECTION_QUALITY, "good", KIND_DURATION, IN(conf_quality, good_ms), RANGE(1, HOUR), .standard = "300ms",
     .applies = APPLIES_WORKER, .doc = "... less than this good, ..."},
    {SECTION_QUALITY, "fair", KIND_DURATION, IN(conf_quality, fair_ms), RANGE(1, HOUR), .standard = "1s",
     .applies = APPLIES_WORKER, .doc = "... less than this fair, and else poor."},
};
/* clang-format on */

const size_t schema_session_row_count = sizeof schema_session_rows / sizeof schema_session_rows[0];
