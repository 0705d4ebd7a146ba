/* Reading and replacing the decision file; see the header. */
#include "health/checker/steering_file.h"

#include <string.h>

#include "base/assert.h"
#include "base/log.h"

#define NAME "steering"
/* What changes no answer is written this often at most, and what could not be written is tried again. */
#define PACE_MS 1000

void steering_file_init(struct steering_file *f, struct state_file *dir)
{
    *f = (struct steering_file){.dir = dir, .is_kept = true};
    strbuf_init(&f->kept, DECISION_BYTES_MAX);
}

void steering_file_fini(struct steering_file *f)
{
    strbuf_fini(&f->kept);
}

static void note(struct steering_file *f, const struct decision *d)
{
    f->term = d->term;
    f->version = d->version;
    f->serial = d->serial;
}

bool steering_file_load(struct steering_file *f, struct decision *d)
{
    memset(d, 0, sizeof *d);
    strbuf_clear(&f->kept);
    if (!state_file_read(f->dir, NAME, &f->kept) || f->kept.len == 0) {
        strbuf_clear(&f->kept);
        return false;
    }
    if (decision_parse(d, f->kept.data, f->kept.len)) {
        note(f, d);
        return true;
    }
    LOG_WARN("last decision about DNS is damaged, it is made anew", KV_UINT("bytes", f->kept.len));
    strbuf_clear(&f->kept);
    return false;
}

/* Another answer, or another number to give it under. */
static bool is_urgent(const struct steering_file *f, const struct decision *d)
{
    return d->term != f->term || d->version != f->version || d->serial != f->serial;
}

bool steering_file_save(struct steering_file *f, const struct decision *d, int64_t now_ms)
{
    struct strbuf text;

    strbuf_init(&text, DECISION_BYTES_MAX);
    decision_print(d, &text);
    ASSERT(!text.failed);
    const bool is_same = text.len == f->kept.len && memcmp(text.data, f->kept.data, text.len) == 0;
    if ((!is_same || !f->is_kept) && (is_urgent(f, d) || now_ms >= f->again_ms)) {
        f->again_ms = now_ms + PACE_MS;
        f->is_kept = state_file_write(f->dir, NAME, text.data, text.len, now_ms);
        note(f, d);
        strbuf_clear(&f->kept);
        strbuf_add(&f->kept, text.data, text.len);
    }
    strbuf_fini(&text);
    return f->is_kept;
}
