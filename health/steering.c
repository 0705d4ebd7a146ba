/* The table of choices; see the header. */
#include "health/steering.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"

#define FNV_BEGIN UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

_Static_assert(sizeof(struct steering_record) % 8 == 0, "copied in whole words");
_Static_assert(sizeof(struct steering_fleet) % 8 == 0, "copied in whole words");

const char *steering_role_text(enum steering_role r)
{
    static const char *const texts[STEERING_ROLE_COUNT] = {
        [STEERING_ALONE] = "alone", [STEERING_LEADS] = "leads", [STEERING_FOLLOWS] = "follows"};
    return texts[(unsigned)r < STEERING_ROLE_COUNT ? r : STEERING_ALONE];
}

void steering_table_init(struct steering_table *t)
{
    memset(t, 0, sizeof *t);
    t->magic = STEERING_MAGIC;
}

void health_table_init(struct health_table *t)
{
    verdict_table_init(&t->verdicts);
    steering_table_init(&t->steering);
}

void steering_store(struct steering_table *t, const struct steering_record *r)
{
    CHECK_OBJ(t, STEERING_MAGIC);
    ASSERT(r->row_count <= CONF_DNS_STEERED_MAX);
    seqlock_store(&t->record_sequence, &t->record, r, sizeof *r);
}

void steering_store_fleet(struct steering_table *t, const struct steering_fleet *f)
{
    CHECK_OBJ(t, STEERING_MAGIC);
    ASSERT(f->peer_count <= STEERING_PEERS_MAX);
    seqlock_store(&t->fleet_sequence, &t->fleet, f, sizeof *f);
}

bool steering_load(const struct steering_table *t, struct steering_record *out)
{
    CHECK_OBJ(t, STEERING_MAGIC);
    bool is_read = seqlock_load(&t->record_sequence, &t->record, out, sizeof *out);
    if (out->row_count > CONF_DNS_STEERED_MAX)
        out->row_count = CONF_DNS_STEERED_MAX;
    return is_read;
}

bool steering_load_fleet(const struct steering_table *t, struct steering_fleet *out)
{
    CHECK_OBJ(t, STEERING_MAGIC);
    bool is_read = seqlock_load(&t->fleet_sequence, &t->fleet, out, sizeof *out);
    if (out->peer_count > STEERING_PEERS_MAX)
        out->peer_count = STEERING_PEERS_MAX;
    for (uint32_t i = 0; i < out->peer_count; i++) {
        out->peers[i].node[STEERING_NODE_BYTES - 1] = '\0';
        out->peers[i].region[STEERING_NODE_BYTES - 1] = '\0';
    }
    return is_read;
}

uint32_t steering_sequence(const struct steering_table *t)
{
    CHECK_OBJ(t, STEERING_MAGIC);
    return atomic_load_explicit(&t->record_sequence, memory_order_acquire);
}

/* With the NUL, so that two texts in a row are not one longer text. */
static uint64_t hash_text(uint64_t hash, const char *text)
{
    for (;; text++) {
        hash = (hash ^ (uint8_t)*text) * FNV_PRIME;
        if (*text == '\0')
            return hash;
    }
}

static uint64_t hash_texts(uint64_t hash, const char *const *texts, size_t count)
{
    for (size_t i = 0; i < count; i++)
        hash = hash_text(hash, texts[i]);
    return (hash ^ count) * FNV_PRIME;
}

uint64_t steering_id(const struct conf_dns_record *r)
{
    uint64_t hash = hash_text(FNV_BEGIN, r->name);
    for (size_t i = 0; i < r->answer_count; i++) {
        const struct conf_dns_answer *a = &r->answers[i];
        hash = hash_text(hash, a->target);
        hash = hash_text(hash, a->cname);
        hash = hash_texts(hash, a->a, a->a_count);
        hash = hash_texts(hash, a->aaaa, a->aaaa_count);
    }
    return hash != 0 ? hash : 1;
}

void steering_name(const char *zone, const char *record_name, char *out, size_t cap_bytes)
{
    const size_t len = strlen(record_name);
    const bool is_apex = strcmp(record_name, "@") == 0, is_absolute = len > 0 && record_name[len - 1] == '.';

    snprintf(out, cap_bytes, "%s%s%s", is_apex ? "" : record_name, is_apex || is_absolute ? "" : ".",
             is_absolute ? "" : zone);
    const size_t out_len = strlen(out);
    if (out_len > 1 && out[out_len - 1] == '.')
        out[out_len - 1] = '\0';
}

const struct steering_row *steering_find(const struct steering_record *s, uint64_t id)
{
    for (uint32_t i = 0; i < s->row_count; i++)
        if (s->rows[i].id == id)
            return &s->rows[i];
    return NULL;
}
