/* Views come again and again with every exchange and seldom differ: one whose text is known is not parsed again. */
#include "health/checker/voices.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"

static void voice_fini(struct voice *o)
{
    mem_free(o->text);
    mem_free(o->view);
    *o = (struct voice){0};
}

static bool has_text(const struct voice *o, struct slice text)
{
    return o->len == text.len && memcmp(o->text, text.data, text.len) == 0;
}

/* False when the view cannot be read. */
static bool voice_read(const struct voices *known, struct voice *o, const struct exchange_peer *said, int64_t sent_ms)
{
    const struct voice *same = NULL;

    for (size_t i = 0; i < known->count && same == NULL; i++)
        if (has_text(&known->list[i], said->view))
            same = &known->list[i];
    *o = (struct voice){
        .said_ms = sent_ms - said->age_ms, .until_ms = sent_ms + said->left_ms, .view = mem_alloc(sizeof *o->view)};
    if (same != NULL)
        *o->view = *same->view;
    else if (!view_parse(o->view, (const char *)said->view.data, said->view.len)) {
        voice_fini(o);
        return false;
    }
    o->text = mem_strndup((const char *)said->view.data, said->view.len);
    o->len = said->view.len;
    return true;
}

/* Into its place, or one of the two goes when there is one of that name. */
static void add(struct voices *v, struct voice *o)
{
    size_t at = 0;

    while (at < v->count && strcmp(v->list[at].view->node, o->view->node) < 0)
        at++;
    if (at < v->count && strcmp(v->list[at].view->node, o->view->node) == 0) {
        struct voice *older = o->said_ms > v->list[at].said_ms ? &v->list[at] : o;
        voice_fini(older);
        if (older != o)
            v->list[at] = *o;
        return;
    }
    memmove(&v->list[at + 1], &v->list[at], (v->count - at) * sizeof v->list[0]);
    v->list[at] = *o;
    v->count++;
}

static void log_lost(const struct voice *o)
{
    LOG_INFO("fleet lost a voice", KV_STR("node", o->view->node), KV_STR("region", o->view->region));
}

/* Both are in the order of names. */
static bool differ(const struct voices *before, const struct voices *after, int64_t sent_ms, struct voices_odd *odd)
{
    bool is_other = before->count != after->count;
    size_t i = 0, k = 0;

    while (i < before->count || k < after->count) {
        const struct voice *b = i < before->count ? &before->list[i] : NULL;
        const struct voice *a = k < after->count ? &after->list[k] : NULL;
        const int order = b == NULL ? 1 : a == NULL ? -1 : strcmp(b->view->node, a->view->node);
        if (order < 0) {
            log_lost(b);
            odd->is_cut_short |= b->until_ms > sent_ms;
        } else if (order > 0) {
            LOG_INFO("fleet has another voice", KV_STR("node", a->view->node), KV_STR("region", a->view->region),
                     KV_BOOL("gateway", a->view->is_gateway));
        }
        is_other |= order != 0 || !has_text(b, slice_borrow(a->text, a->len));
        i += order <= 0;
        k += order >= 0;
    }
    return is_other;
}

bool voices_take(struct voices *v, const struct exchange_answer *a, const char *node, int64_t since_ms, int64_t sent_ms,
                 struct voices_odd *odd)
{
    struct voices heard = {0};
    struct voice o;

    *odd = (struct voices_odd){0};
    for (size_t i = 0; i < a->peer_count; i++) {
        if (!voice_read(v, &o, &a->peers[i], sent_ms)) {
            odd->unread_count++;
        } else if (strcmp(o.view->node, node) == 0) {
            odd->is_our_name |= o.said_ms > since_ms; /* before that it was a predecessor of ours */
            voice_fini(&o);
        } else {
            add(&heard, &o);
        }
    }
    const bool is_other = differ(v, &heard, sent_ms, odd);
    voices_fini(v);
    *v = heard;
    return is_other;
}

bool voices_lapse(struct voices *v, int64_t now_ms)
{
    size_t kept = 0;

    for (size_t i = 0; i < v->count; i++) {
        if (v->list[i].until_ms > now_ms) {
            v->list[kept++] = v->list[i];
        } else {
            log_lost(&v->list[i]);
            voice_fini(&v->list[i]);
        }
    }
    const bool is_other = kept < v->count;
    v->count = kept;
    return is_other;
}

int64_t voices_lapse_ms(const struct voices *v)
{
    int64_t at_ms = INT64_MAX;

    for (size_t i = 0; i < v->count; i++)
        if (v->list[i].until_ms < at_ms)
            at_ms = v->list[i].until_ms;
    return at_ms;
}

void voices_fini(struct voices *v)
{
    for (size_t i = 0; i < v->count; i++)
        voice_fini(&v->list[i]);
    v->count = 0;
}
