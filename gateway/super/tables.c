/* Creating the shared tables, and keeping their rows in step with the configuration.
 *
 * A row that gets a new owner is cleared here, before any child knows the new name. The verdict rows are the checker's
 * alone; it notices a new owner by the era of the slot. */
#include "gateway/super/tables.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static enum err table(struct shm *s, const char *name, size_t size_bytes, void *pointer)
{
    enum err e = shm_create(s, name, size_bytes);
    if (e == ERR_NONE)
        memcpy(pointer, &s->base, sizeof s->base);
    return e;
}

enum err tables_create(struct tables *t)
{
    memset(t, 0, sizeof *t);
    t->slots_reader_fd = t->roster_reader_fd = t->verdicts_reader_fd = t->nudge_fd = -1;
    enum err e = table(&t->slots_shm, "slots", sizeof *t->slots, &t->slots);
    e = e != ERR_NONE ? e : table(&t->roster_shm, "roster", sizeof *t->roster, &t->roster);
    e = e != ERR_NONE ? e : table(&t->stats_shm, "stats", sizeof *t->stats, &t->stats);
    e = e != ERR_NONE ? e : table(&t->verdicts_shm, "verdicts", sizeof *t->health, &t->health);
    e = e != ERR_NONE ? e : shm_reopen_read_only(&t->slots_shm, &t->slots_reader_fd);
    e = e != ERR_NONE ? e : shm_reopen_read_only(&t->roster_shm, &t->roster_reader_fd);
    e = e != ERR_NONE ? e : shm_reopen_read_only(&t->verdicts_shm, &t->verdicts_reader_fd);
    if (e == ERR_NONE && (t->nudge_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
        e = err_from_errno(errno);
    if (e != ERR_NONE) {
        tables_fini(t);
        return e;
    }
    slots_init(t->slots);
    t->roster->magic = ROSTER_MAGIC;
    stats_init(t->stats);
    health_table_init(t->health);
    return ERR_NONE;
}

void tables_fini(struct tables *t)
{
    int *fds[] = {&t->slots_reader_fd, &t->roster_reader_fd, &t->verdicts_reader_fd, &t->nudge_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
    shm_fini(&t->slots_shm);
    shm_fini(&t->roster_shm);
    shm_fini(&t->stats_shm);
    shm_fini(&t->verdicts_shm);
}

static bool claim(struct tables *t, enum slot_kind kind, const char *name, char *error)
{
    static const char *const what[SLOT_KINDS] = {[SLOT_SERVER] = "servers", [SLOT_ROUTE] = "routes"};
    static const unsigned room[SLOT_KINDS] = {[SLOT_SERVER] = SLOTS_SERVERS, [SLOT_ROUTE] = SLOTS_ROUTES};
    bool is_new = false;
    if (strlen(name) >= SLOTS_NAME_BYTES) {
        snprintf(error, TABLES_ERROR_BYTES, "%.60s...: the name is too long, %u bytes are allowed", name,
                 SLOTS_NAME_BYTES - 1);
        return false;
    }
    int slot = slots_claim(t->slots, kind, name, &is_new);
    if (slot < 0) {
        snprintf(error, TABLES_ERROR_BYTES,
                 "no room for %s: there may be %u %s, removed ones that still drain included", name, room[kind],
                 what[kind]);
        return false;
    }
    if (is_new && kind == SLOT_SERVER)
        stats_clear_server(t->stats, slot);
    if (is_new && kind == SLOT_ROUTE)
        stats_clear_route(t->stats, slot);
    return true;
}

bool tables_claim(struct tables *t, const struct conf *c, char error[TABLES_ERROR_BYTES])
{
    for (size_t i = 0; i < c->pool_count; i++)
        for (size_t j = 0; j < c->pools[i].server_count; j++)
            if (!claim(t, SLOT_SERVER, c->pools[i].servers[j].slot_name, error))
                return false;
    for (size_t i = 0; i < c->target_count; i++)
        if (!claim(t, SLOT_SERVER, c->targets[i].slot_name, error))
            return false;
    for (size_t i = 0; i < c->route_count; i++)
        if (!claim(t, SLOT_ROUTE, c->routes[i].name, error))
            return false;
    return true;
}

static bool has_route(const struct conf *c, const char *name)
{
    for (size_t i = 0; i < c->route_count; i++)
        if (strcmp(c->routes[i].name, name) == 0)
            return true;
    return false;
}

void tables_retire(struct tables *t, const struct conf *c)
{
    for (int slot = 0; slot < (int)SLOTS_SERVERS; slot++) {
        const char *name = slots_name(t->slots, SLOT_SERVER, slot);
        if (name != NULL && conf_find_server(c, name) == NULL)
            slots_retire(t->slots, SLOT_SERVER, slot);
    }
    for (int slot = 0; slot < (int)SLOTS_ROUTES; slot++) {
        const char *name = slots_name(t->slots, SLOT_ROUTE, slot);
        if (name != NULL && !has_route(c, name))
            slots_retire(t->slots, SLOT_ROUTE, slot);
    }
}
