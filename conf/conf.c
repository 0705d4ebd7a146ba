/* The life of a configuration: read, shared, gone. The tree and everything it points to lie in one arena that stands
 * behind the struct; what only the reading needed lies in a second one that is gone when the load returns. */
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/shm.h"
#include "conf/build.h"
#include "conf/node.h"
#include "conf/schema.h"

#define PIPE_TIMEOUT_MS 5000

struct conf_box {
    struct conf conf; /* first: its magic is the object's */
    struct arena arena;
};

/* ---- sharing ---- */

struct conf *conf_ref(const struct conf *c)
{
    CHECK_OBJ(c, CONF_MAGIC);
    struct conf *counted = (struct conf *)(uintptr_t)c; /* const is for readers; the count is ours */
    counted->refs++;
    return counted;
}

void conf_unref(struct conf **cp)
{
    struct conf *c = *cp;
    if (c == NULL)
        return;
    CHECK_OBJ(c, CONF_MAGIC);
    ASSERT(c->refs > 0);
    *cp = NULL;
    if (--c->refs > 0)
        return;
    struct conf_box *box = (struct conf_box *)(void *)c;
    arena_fini(&box->arena);
    c->magic = 0;
    mem_free(box);
}

void conf_errors_fini(struct conf_errors *e)
{
    mem_free(e->text);
    *e = (struct conf_errors){0};
}

/* ---- reading ---- */

static const char *directory_of(struct arena *arena, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        return "";
    return slash == path ? "/" : arena_strndup(arena, path, (size_t)(slash - path));
}

static void fill(struct conf_box *box, struct arena *scratch, struct complaints *complaints, const char *text,
                 size_t len, bool is_sealed)
{
    struct expansion expansion = {.arena = scratch,
                                  .dir = directory_of(scratch, box->conf.path),
                                  .left_bytes = EXPANSION_MAX_BYTES,
                                  .is_off = is_sealed};
    const struct node *root = node_load(scratch, complaints, &expansion, text, len);
    if (root == NULL)
        return;
    struct build b;
    build_init(&b, &box->conf, &box->arena, scratch, complaints, &expansion);
    build_run(&b, root);
    if (root->kind == NODE_MAP) {
        derive_values(&b);
        check_values(&b);
        derive_order(&box->conf);
    }
    build_fini(&b);
}

/* The path that conf_seal() wrote in front, or `name`. */
static const char *path_of(struct arena *arena, const char *name, const char *text, size_t len, bool is_sealed)
{
    const size_t mark_len = sizeof SEALED_FROM - 1;
    if (!is_sealed || len < mark_len || memcmp(text, SEALED_FROM, mark_len) != 0)
        return arena_strdup(arena, name);
    const char *end = memchr(text, '\n', len);
    size_t line_len = end != NULL ? (size_t)(end - text) : len;
    return arena_strndup(arena, text + mark_len, line_len - mark_len);
}

struct conf *conf_load_text(const char *name, const char *text, size_t len, bool is_sealed, struct conf_errors *errors)
{
    struct conf_box *box = mem_alloc(sizeof *box);
    struct arena scratch;
    struct complaints complaints;
    arena_init(&box->arena);
    arena_init(&scratch);
    box->conf.magic = CONF_MAGIC;
    box->conf.refs = 1;
    box->conf.path = path_of(&box->arena, name, text, len, is_sealed);
    complaints_init(&complaints, &scratch, name);
    fill(box, &scratch, &complaints, text, len, is_sealed);
    complaints_render(&complaints, errors);
    arena_fini(&scratch);
    struct conf *c = &box->conf;
    if (errors->count > 0)
        conf_unref(&c);
    return c;
}

/* A pipe in the place of the file (`-c /dev/stdin`) may take its time, but not the gateway's. */
static bool wait_for_bytes(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int ready = poll(&p, 1, PIPE_TIMEOUT_MS);
    if (ready == 0)
        errno = ETIMEDOUT;
    return ready > 0 || (ready < 0 && errno == EINTR);
}

/* At most `cap` bytes; -1 with errno. More than `cap` shows as cap, which is one too many for the caller. */
static ssize_t read_up_to(int fd, char *out, size_t cap)
{
    size_t len = 0;
    while (len < cap) {
        ssize_t got = read(fd, out + len, cap - len);
        if (got < 0 && (errno == EINTR || (errno == EAGAIN && wait_for_bytes(fd))))
            continue;
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        len += (size_t)got;
    }
    return (ssize_t)len;
}

struct conf *conf_load_file(const char *path, struct conf_errors *errors)
{
    *errors = (struct conf_errors){0};
    size_t cap = TEXT_MAX_BYTES + 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char *text = NULL;
    ssize_t len = -1;
    if (fd >= 0) {
        text = mem_alloc(cap);
        len = read_up_to(fd, text, cap);
    }
    int reason = errno;
    if (fd >= 0)
        (void)close(fd);
    struct conf *c = NULL;
    if (len < 0) {
        errors->count = 1;
        errors->text = mem_printf("%s:1:1: cannot be read: %s, expected a readable file\n", path, strerror(reason));
    } else if ((size_t)len > TEXT_MAX_BYTES) {
        errors->count = 1;
        errors->text =
            mem_printf("%s:1:1: is longer than %zu MiB, expected a configuration\n", path, TEXT_MAX_BYTES >> 20);
    } else {
        c = conf_load_text(path, text, (size_t)len, false, errors);
    }
    mem_free(text);
    return c;
}

struct conf *conf_load_sealed(int fd, struct conf_errors *errors)
{
    *errors = (struct conf_errors){0};
    char *text = NULL;
    size_t len = 0;
    enum err e = fd < 0 ? ERR_INVALID : shm_read_sealed(fd, CONF_SEALED_BYTES_MAX, &text, &len);
    if (e != ERR_NONE) {
        errors->count = 1;
        errors->text = mem_printf("configuration:1:1: cannot be read: %s, expected a sealed one\n", err_text(e));
        return NULL;
    }
    struct conf *c = conf_load_text("configuration", text, len, true, errors);
    mem_wipe(text, len);
    mem_free(text);
    return c;
}

/* ---- looking up ---- */

const struct conf_pool *conf_find_pool(const struct conf *c, const char *name)
{
    CHECK_OBJ(c, CONF_MAGIC);
    for (size_t i = 0; i < c->pool_count; i++)
        if (strcmp(c->pools[i].name, name) == 0)
            return &c->pools[i];
    return NULL;
}

bool conf_wants_dns(const struct conf *c)
{
    return c->dns.zone != NULL && c->dns.zone[0] != '\0' && (c->dns.listen_count > 0 || c->dns.push_count > 0);
}

/* The zone first, for it may be long, and what is cut off must not be all of the server. */
const char *conf_push_subject(const struct conf_dns_push *push, char *out, size_t cap_bytes)
{
    snprintf(out, cap_bytes, "%.90s at %.64s", push->zone, push->server);
    return out;
}

bool conf_has_steered_records(const struct conf *c)
{
    for (size_t i = 0; i < c->dns.record_count; i++)
        if (c->dns.records[i].answer_count > 0)
            return true;
    return false;
}

const struct conf_server *conf_find_server(const struct conf *c, const char *slot_name)
{
    CHECK_OBJ(c, CONF_MAGIC);
    for (size_t i = 0; i < c->target_count; i++)
        if (strcmp(c->targets[i].slot_name, slot_name) == 0)
            return &c->targets[i];
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t j = 0; j < c->pools[i].server_count; j++)
            if (strcmp(c->pools[i].servers[j].slot_name, slot_name) == 0)
                return &c->pools[i].servers[j];
    return NULL;
}

uint32_t conf_worker_count(const struct conf *c)
{
    CHECK_OBJ(c, CONF_MAGIC);
    return c->listen_count > 0 ? c->workers : 0;
}

bool conf_jwt_is_on(const struct conf_jwt *j)
{
    return j->secret[0] != '\0' || j->public_key.text != NULL || j->jwks_file.text != NULL || j->jwks_pool[0] != '\0';
}

bool conf_statuses_have(const struct conf_statuses *s, uint32_t status)
{
    for (uint32_t i = 0; i < s->count; i++)
        if (status >= s->range[i].min && status <= s->range[i].max)
            return true;
    return false;
}

bool conf_statuses_are_same(const struct conf_statuses *a, const struct conf_statuses *b)
{
    bool is_same = a->count == b->count;

    for (uint32_t i = 0; is_same && i < a->count; i++)
        is_same = a->range[i].min == b->range[i].min && a->range[i].max == b->range[i].max;
    return is_same;
}

const char *conf_tier_text(enum conf_tier t)
{
    return schema_word_text(schema_tier_words, t);
}

const char *conf_ws_protocol_text(enum conf_ws_protocol p)
{
    return schema_word_text(schema_ws_protocol_words, p);
}

const char *conf_balance_text(enum conf_balance b)
{
    return schema_word_text(schema_balance_words, b);
}

bool conf_is_trusted(const struct conf *c, const struct addr *peer)
{
    CHECK_OBJ(c, CONF_MAGIC);
    for (size_t i = 0; i < c->trusted_proxy_count; i++)
        if (cidr_contains(&c->trusted_proxies[i], peer))
            return true;
    return false;
}
