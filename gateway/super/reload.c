/* A reload is an offer: every running child is shown the new configuration and says whether it can work under it. Only
 * when all can does it become the current one; when one cannot, all go back to the old one under a new generation
 * number, and sockets and rows that were made for the new one are given back.
 *
 * Three kinds of children do not hold it up: one that dies meanwhile gets the current edition when it is started
 * again, one that waits for its restart likewise, and one that does not answer in time is named in the complaint while
 * the others go on. A reload asked for during a reload is another one, since the file may have changed. */
#include "gateway/super/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "base/log_sink.h"
#include "base/mem.h"
#include "base/shm.h"
#include "gateway/super/check.h"
#include "gateway/super/super.h"

#define RELOAD_DEADLINE_MS   10000
#define COMPLAINTS_BYTES_MAX (1u << 20)

static const char not_everywhere[] = "the new configuration is in use, but not everywhere";
static const char leaving[] = "the gateway is stopping";

static void begin(struct super *s);

/* ---- editions ---- */

/* The file as a configuration that can be used as far as can be said without trying. */
static struct conf *load(const char *path, struct strbuf *complaints)
{
    struct conf_errors errors = {.count = 0};
    struct conf *c = conf_load_file(path, &errors);
    if (c == NULL)
        strbuf_puts(complaints, errors.text != NULL ? errors.text : "the configuration cannot be read\n");
    conf_errors_fini(&errors);
    if (c != NULL && !check_conf(c, complaints))
        conf_unref(&c);
    return c;
}

static enum err seal(const struct conf *c, int *fd)
{
    char *text = conf_seal(c);
    enum err e = shm_seal_bytes("conf", text, strlen(text), fd);
    mem_wipe(text, strlen(text));
    mem_free(text);
    return e;
}

static void open_log(const struct conf *c)
{
    log_open(role_name(ROLE_SUPERVISOR), c->log.level, c->log.format, c->log.file[0] != '\0' ? c->log.file : NULL);
}

/* False when there is to be one and it cannot be opened; then errno says why. */
static bool open_access_log(const struct conf *c, int *fd)
{
    *fd = c->log.access_file[0] != '\0' ? log_file_open(c->log.access_file) : -1;
    return *fd >= 0 || c->log.access_file[0] == '\0';
}

int edition_make(struct super *s, struct edition *e, struct strbuf *complaints)
{
    char bind_error[LISTENERS_ERROR_BYTES], claim_error[TABLES_ERROR_BYTES];
    struct edition made = EDITION_NONE;
    int code = EX_OK;
    struct conf *c = load(s->conf_path, complaints);
    if (c == NULL)
        return EX_CONFIG;
    if (s->current.conf == NULL)
        open_log(c);
    if (!tables_claim(&s->tables, c, claim_error)) {
        strbuf_printf(complaints, "%s: %s\n", s->conf_path, claim_error);
        code = EX_CONFIG;
    } else if (!listeners_bind(s->listeners, c, children_away(s), bind_error)) {
        strbuf_printf(complaints, "%s: %s\n", s->conf_path, bind_error);
        code = EX_OSERR;
    } else if (!open_access_log(c, &made.access_fd)) {
        strbuf_printf(complaints, "%s: log.access_file: %s: %s\n", s->conf_path, c->log.access_file, strerror(errno));
        code = EX_OSERR;
    } else if (seal(c, &made.fd) != ERR_NONE) {
        strbuf_printf(complaints, "%s: no memory file for the children\n", s->conf_path);
        code = EX_OSERR;
    }
    made.conf = c;
    if (code != EX_OK) {
        edition_drop(&made);
        return code;
    }
    check_certificates(c, loop_wall_ms(s->loop));
    made.generation = ++s->last_generation;
    *e = made;
    return EX_OK;
}

void edition_drop(struct edition *e)
{
    if (e->conf != NULL)
        conf_unref(&e->conf);
    if (e->fd >= 0)
        close(e->fd);
    if (e->access_fd >= 0)
        close(e->access_fd);
    *e = EDITION_NONE;
}

void edition_reopen_access_log(struct edition *e)
{
    int fd = -1;
    if (e->access_fd < 0)
        return;
    if (open_access_log(e->conf, &fd)) {
        close(e->access_fd);
        e->access_fd = fd;
    } else {
        LOG_ERR("access log cannot be opened again, using the old one", KV_STR("path", e->conf->log.access_file),
                KV_STR("cause", strerror(errno)));
    }
}

void edition_publish(struct super *s)
{
    struct roster *r = s->tables.roster;
    atomic_store(&r->conf_generation, s->current.generation);
    atomic_store(&r->row[0].conf_generation, s->current.generation);
}

/* What was made for a configuration that is not the current one is given back. */
static void retain_current(struct super *s)
{
    listeners_retain(s->listeners, s->current.conf);
    tables_retire(&s->tables, s->current.conf);
}

/* Everybody who runs and has something else gets the current edition. */
static void offer_current(struct super *s)
{
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (child_is_running(&s->child[i]) && s->child[i].sent_generation != s->current.generation)
            child_offer(&s->child[i], &s->current);
}

/* ---- the end of a reload ---- */

static void answer_all(struct super *s, const char *error)
{
    LIST_EACH (it, &s->reload.waiting) {
        struct control_request *r = LIST_ENTRY(it, struct control_request, link);
        if (error != NULL && s->reload.complaints.len > 0)
            strbuf_add(&r->body, s->reload.complaints.data, s->reload.complaints.len);
        control_answer(&r, error);
    }
}

/* One log line per complaint. */
static void log_complaints(const struct strbuf *complaints)
{
    const char *line = complaints->len > 0 ? complaints->data : "";
    while (*line != '\0') {
        size_t len = strcspn(line, "\n");
        LOG_ERR("configuration complaint", KV_STRN("complaint", line, len));
        line += len + (line[len] == '\n');
    }
}

static void tell_events(struct super *s, const char *error)
{
    const bool was_refused = atomic_load(&s->tables.roster->reload_ok) == 0;
    char generation[EVENT_WORD_BYTES];
    const char *complaint = s->reload.complaints.len > 0 ? s->reload.complaints.data : error;
    char *first = complaint != NULL ? mem_strndup(complaint, strcspn(complaint, "\n")) : NULL;
    struct event e;
    snprintf(generation, sizeof generation, "generation %" PRIu64, s->current.generation);
    if (error != NULL)
        event_init(&e, EVENT_RELOAD, EVENT_BEGINS, s->conf_path, generation, "refused", first);
    else
        event_init(&e, EVENT_RELOAD, was_refused ? EVENT_ENDS : EVENT_ONCE, s->conf_path, was_refused ? "refused" : "",
                   generation, "");
    events_add(s->events, &e);
    mem_free(first);
}

static void finish(struct super *s, const char *error)
{
    struct reload *r = &s->reload;
    struct roster *roster = s->tables.roster;
    timer_cancel(&r->deadline);
    r->phase = RELOAD_IDLE;
    atomic_fetch_add(&roster->reloads_total, 1);
    tell_events(s, error);
    atomic_store(&roster->reload_ok, error == NULL);
    if (error != NULL) {
        atomic_fetch_add(&roster->reloads_refused_total, 1);
        log_complaints(&r->complaints);
        LOG_ERR("reload failed", KV_STR("cause", error), KV_UINT("generation", s->current.generation));
    } else {
        LOG_INFO("configuration reloaded", KV_UINT("generation", s->current.generation));
    }
    if (s->state == SUPER_RUNNING)
        notify_ready(s->notify);
    notify_status(s->notify, error == NULL ? "running" : error);
    answer_all(s, error);
    strbuf_clear(&r->complaints);
    list_splice(&r->waiting, &r->next);
    if (r->is_wanted_again)
        begin(s);
}

static void roll_back(struct super *s)
{
    edition_drop(&s->reload.offer);
    s->current.generation = ++s->last_generation;
    edition_publish(s);
    offer_current(s);
    retain_current(s);
    finish(s, "the new configuration is refused, the old one stays");
}

/* ---- the change itself ---- */

/* Keys a running gateway does not take over. */
static void log_restart_keys(const struct conf *old, const struct conf *new)
{
    const struct {
        const char *key;
        bool is_changed;
    } keys[] = {
        {"user", strcmp(old->user, new->user) != 0},
        {"state_dir", strcmp(old->state_dir, new->state_dir) != 0},
        {"control.path", strcmp(old->control.path, new->control.path) != 0},
        {"log.level", old->log.level != new->log.level},
        {"log.format", old->log.format != new->log.format},
        {"log.file", strcmp(old->log.file, new->log.file) != 0},
    };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (keys[i].is_changed)
            LOG_WARN("changed key takes effect with the next start", KV_STR("key", keys[i].key));
}

static void commit(struct super *s)
{
    struct reload *r = &s->reload;
    struct edition old = s->current;
    s->current = r->offer;
    r->offer = EDITION_NONE;
    r->phase = RELOAD_SETTLING;
    log_restart_keys(old.conf, s->current.conf);
    edition_drop(&old);
    edition_publish(s);
    atomic_store(&s->tables.roster->conf_loaded_wall_ms, loop_wall_ms(s->loop));
    events_conf(s);
    children_adjust(s);
    retain_current(s);
    offer_current(s);
    reload_check(s);
}

/* Adds who has not answered to the complaints; the number of them. */
static unsigned list_silent(struct super *s, uint64_t generation, struct strbuf *out)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < CHILDREN_MAX; i++) {
        if (!child_owes_answer(&s->child[i], generation))
            continue;
        count++;
        if (out != NULL)
            strbuf_printf(out, "%s has not confirmed generation %" PRIu64 " in time\n", s->child[i].name, generation);
    }
    return count;
}

/* Nobody owes an answer any more, or their time is over. */
static void decide(struct super *s)
{
    if (s->reload.is_refused)
        roll_back(s);
    else
        commit(s);
}

void reload_check(struct super *s)
{
    struct reload *r = &s->reload;
    if (r->phase == RELOAD_OFFERED && list_silent(s, r->offer.generation, NULL) == 0)
        decide(s);
    else if (r->phase == RELOAD_SETTLING && list_silent(s, s->current.generation, NULL) == 0)
        finish(s, r->complaints.len > 0 ? not_everywhere : NULL);
}

static void on_deadline(void *arg)
{
    struct super *s = arg;
    struct reload *r = &s->reload;
    if (r->phase == RELOAD_OFFERED) {
        list_silent(s, r->offer.generation, &r->complaints);
        decide(s);
    } else {
        list_silent(s, s->current.generation, &r->complaints);
    }
    if (r->phase == RELOAD_SETTLING)
        finish(s, not_everywhere);
}

bool reload_refused(struct super *s, const struct child *c, uint64_t generation, const char *error)
{
    struct reload *r = &s->reload;
    if (r->phase == RELOAD_IDLE)
        return false;
    bool is_offer = r->phase == RELOAD_OFFERED && generation == r->offer.generation;
    strbuf_printf(&r->complaints, "%s: %s\n", c->name, error);
    r->is_refused = r->is_refused || is_offer;
    return is_offer;
}

/* ---- the beginning ---- */

static void begin(struct super *s)
{
    struct reload *r = &s->reload;
    r->is_wanted_again = false;
    r->is_refused = false;
    LOG_INFO("reloading the configuration", KV_STR("file", s->conf_path));
    notify_reloading(s->notify);
    if (edition_make(s, &r->offer, &r->complaints) != EX_OK) {
        retain_current(s);
        finish(s, "the configuration has mistakes, the old one stays");
        return;
    }
    r->phase = RELOAD_OFFERED;
    timer_start(&r->deadline, RELOAD_DEADLINE_MS);
    for (uint32_t i = 0; i < CHILDREN_MAX; i++)
        if (child_is_running(&s->child[i]))
            child_offer(&s->child[i], &r->offer);
    reload_check(s);
}

void reload_start(struct super *s, struct control_request *request)
{
    struct reload *r = &s->reload;
    if (super_is_leaving(s)) {
        if (request != NULL)
            control_answer(&request, leaving);
        return;
    }
    bool is_busy = r->phase != RELOAD_IDLE;
    if (request != NULL)
        list_append(is_busy ? &r->next : &r->waiting, &request->link);
    if (is_busy)
        r->is_wanted_again = true;
    else
        begin(s);
}

void reload_abandon(struct super *s)
{
    struct reload *r = &s->reload;
    timer_cancel(&r->deadline);
    r->phase = RELOAD_IDLE;
    r->is_wanted_again = false;
    edition_drop(&r->offer);
    strbuf_clear(&r->complaints);
    list_splice(&r->waiting, &r->next);
    answer_all(s, leaving);
}

void reload_init(struct super *s)
{
    struct reload *r = &s->reload;
    r->offer = EDITION_NONE;
    list_init(&r->waiting);
    list_init(&r->next);
    timer_init(&r->deadline, s->loop, on_deadline, s);
    strbuf_init(&r->complaints, COMPLAINTS_BYTES_MAX);
}

void reload_fini(struct super *s)
{
    timer_cancel(&s->reload.deadline);
    edition_drop(&s->reload.offer);
    strbuf_fini(&s->reload.complaints);
}
