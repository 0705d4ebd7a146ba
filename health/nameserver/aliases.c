/* One entry per name, however many records have it. An entry is always in one of two states: a question is under way,
 * or a timer runs until the next one. So nothing is asked twice at once, and the number of questions is bounded by the
 * configuration. While addresses are good the timer runs by the second, and what is told lives a second less. */
#include "health/nameserver/aliases.h"

#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define ALIASES_MAGIC 0xa11a5e59u
#define ENTRY_MAGIC   0xa11a5e7eu
#define TIMEOUT_MS    5000
#define AGE_MS        1000

struct entry {
    uint32_t magic;
    struct list link;
    struct aliases *owner;
    struct resolve_job *job; /* NULL: the timer runs */
    struct timer again;
    int64_t retry_ms;
    struct steering_alias known; /* its TTL is what is left of it */
    bool is_stale;               /* all of it is over */
    size_t place_count;
    struct steering_alias **places;
    char name[DNS_NAME_TEXT_BYTES];
};

struct aliases {
    uint32_t magic;
    struct loop *loop;
    struct resolver *resolver;
    struct list entries;
    struct log_limit errors;
};

static void tell_places(const struct entry *e)
{
    for (size_t i = 0; i < e->place_count; i++)
        *e->places[i] = e->known;
}

static void take(struct entry *e, const struct addr *addrs, size_t count, uint32_t ttl_s)
{
    struct steering_alias known = {.is_known = true};

    known.ttl_s = ttl_s == 0 ? ALIASES_TTL_HOSTS_S : ttl_s < ALIASES_TTL_MIN_S ? ALIASES_TTL_MIN_S : ttl_s;
    if (known.ttl_s > ALIASES_TTL_MAX_S)
        known.ttl_s = ALIASES_TTL_MAX_S;
    for (size_t i = 0; i < count; i++) {
        if (addrs[i].sa.sa_family == AF_INET && known.a_count < ZONE_ADDRESSES_MAX)
            memcpy(known.a[known.a_count++], &addrs[i].v4.sin_addr, 4);
        else if (addrs[i].sa.sa_family == AF_INET6 && known.aaaa_count < ZONE_ADDRESSES_MAX)
            memcpy(known.aaaa[known.aaaa_count++], &addrs[i].v6.sin6_addr, 16);
    }
    e->known = known;
    e->is_stale = false;
    tell_places(e);
}

/* Its time is over, and nobody says what is so now. */
static void grow_stale(struct entry *e)
{
    if (!e->known.is_known || e->is_stale)
        return;
    e->is_stale = true;
    e->known.ttl_s = ALIASES_TTL_STALE_S;
    tell_places(e);
}

static void on_resolved(void *arg, enum err error, const struct addr *addrs, size_t count, uint32_t ttl_s)
{
    struct entry *e = arg;
    struct aliases *a = e->owner;

    CHECK_OBJ(e, ENTRY_MAGIC);
    e->job = NULL;
    if (error == ERR_NONE && count > 0) {
        take(e, addrs, count, ttl_s);
        e->retry_ms = ALIASES_FIRST_RETRY_MS;
        timer_start(&e->again, AGE_MS);
        return;
    }
    grow_stale(e);
    LOG_LIMITED(&a->errors, loop_now_ms(a->loop), LOG_LEVEL_WARN,
                e->known.is_known ? "name not resolved, its last addresses are answered" : "name not resolved",
                KV_STR("name", e->name), KV_STR("cause", err_text(error)), KV_INT("next_try_ms", e->retry_ms));
    timer_start(&e->again, e->retry_ms);
    e->retry_ms = e->retry_ms * 2 < ALIASES_RETRY_MAX_MS ? e->retry_ms * 2 : ALIASES_RETRY_MAX_MS;
}

static void on_again(void *arg)
{
    struct entry *e = arg;

    CHECK_OBJ(e, ENTRY_MAGIC);
    if (e->known.is_known && !e->is_stale && e->known.ttl_s > ALIASES_TTL_MIN_S) {
        e->known.ttl_s--;
        tell_places(e);
        timer_start(&e->again, AGE_MS);
        return;
    }
    e->job = resolve_start(e->owner->resolver, e->name, 0, TIMEOUT_MS, on_resolved, e);
}

static void entry_destroy(struct entry *e)
{
    if (e->job != NULL)
        resolve_cancel(&e->job);
    timer_cancel(&e->again);
    list_unlink(&e->link);
    mem_free(e->places);
    OBJ_FREE(&e, ENTRY_MAGIC);
}

static struct entry *find(const struct aliases *a, const char *name)
{
    LIST_EACH (it, &a->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        if (strcmp(e->name, name) == 0)
            return e;
    }
    return NULL;
}

/* ---- what is wanted ---- */

void aliases_begin(struct aliases *a)
{
    CHECK_OBJ(a, ALIASES_MAGIC);
    LIST_EACH (it, &a->entries)
        LIST_ENTRY(it, struct entry, link)->place_count = 0;
}

void aliases_want(struct aliases *a, const struct dns_name *name, struct steering_alias *place)
{
    char text[DNS_NAME_TEXT_BYTES];

    CHECK_OBJ(a, ALIASES_MAGIC);
    (void)dns_name_text(name->wire, text);
    const size_t len = strlen(text);
    if (len > 1)
        text[len - 1] = '\0'; /* the hosts file has no dots at the end */
    struct entry *e = find(a, text);
    if (e == NULL) {
        OBJ_NEW(e, ENTRY_MAGIC);
        e->owner = a;
        e->retry_ms = ALIASES_FIRST_RETRY_MS;
        memcpy(e->name, text, sizeof e->name);
        list_init(&e->link);
        list_append(&a->entries, &e->link);
        timer_init(&e->again, a->loop, on_again, e);
        on_again(e);
    }
    e->places = mem_realloc(e->places, (e->place_count + 1) * sizeof(struct steering_alias *));
    e->places[e->place_count++] = place;
    *place = e->known;
}

void aliases_end(struct aliases *a)
{
    CHECK_OBJ(a, ALIASES_MAGIC);
    LIST_EACH (it, &a->entries) {
        struct entry *e = LIST_ENTRY(it, struct entry, link);
        if (e->place_count == 0)
            entry_destroy(e);
    }
}

/* ---- life ---- */

struct aliases *aliases_create(struct loop *l, struct resolver *resolver)
{
    struct aliases *a;
    OBJ_NEW(a, ALIASES_MAGIC);
    a->loop = l;
    a->resolver = resolver;
    list_init(&a->entries);
    return a;
}

void aliases_destroy(struct aliases **ap)
{
    CHECK_OBJ(*ap, ALIASES_MAGIC);
    LIST_EACH (it, &(*ap)->entries)
        entry_destroy(LIST_ENTRY(it, struct entry, link));
    OBJ_FREE(ap, ALIASES_MAGIC);
}
