/* RESP2 through hiredis: its formatter for commands, its reader for replies.
 *
 * The hard part is that a reply's size is the peer's choice. The reader grows its buffer for a bulk of any announced
 * length and makes arrays of any announced count; so the bytes of one reply are counted as they are fed, and the
 * objects are made here, where a count too high makes the reader fail. Its stack bounds the depth (7 arrays). */
#include "cache/l2_wire.h"

#include <hiredis/hiredis.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define REPLY_MAGIC  0x4e91a77bu
#define PARSER_MAGIC 0x9a65e34du

/* Unused room the reader may keep between replies. */
#define IDLE_BUFFER_BYTES 65536u

struct l2_parser {
    uint32_t magic;
    redisReader *reader;
    redisReplyObjectFunctions makers;
    size_t reply_bytes_max;
    size_t reply_bytes;   /* fed since the last reply that was complete */
    size_t element_count; /* of arrays in the reply that is being read */
    bool is_over_limit;
};

/* ---- commands ---- */

void l2_args_bytes(struct l2_args *a, const void *data, size_t len)
{
    ASSERT(a->count < L2_ARGS_MAX);
    a->data[a->count] = data;
    a->len[a->count++] = len;
}

void l2_args_text(struct l2_args *a, const char *text)
{
    l2_args_bytes(a, text, strlen(text));
}

void l2_args_int(struct l2_args *a, int64_t n)
{
    ASSERT(a->count < L2_ARGS_MAX);
    char *text = a->numbers[a->count];
    const int len = snprintf(text, L2_NUMBER_TEXT_BYTES, "%lld", (long long)n);
    l2_args_bytes(a, text, (size_t)len);
}

void l2_command_init(struct l2_command *c, const struct l2_args *a)
{
    const char *data[L2_ARGS_MAX];
    ASSERT(a->count > 0 && a->count <= L2_ARGS_MAX);
    memcpy(data, a->data, a->count * sizeof *data);
    const int len = redisFormatCommandArgv(&c->data, (int)a->count, data, a->len);
    ASSERT(len > 0 && "out of memory");
    c->len = (size_t)len;
}

void l2_command_words(struct l2_command *c, ...)
{
    struct l2_args a = {0};
    va_list words;
    va_start(words, c);
    for (const char *word = va_arg(words, const char *); word != NULL; word = va_arg(words, const char *))
        l2_args_text(&a, word);
    va_end(words);
    l2_command_init(c, &a);
}

void l2_command_fini(struct l2_command *c)
{
    if (c->data != NULL)
        redisFreeCommand(c->data);
    *c = (struct l2_command){0};
}

/* ---- replies ---- */

void l2_reply_destroy(struct l2_reply **rp)
{
    struct l2_reply *r = *rp;
    CHECK_OBJ(r, REPLY_MAGIC);
    if (r->kind == L2_ARRAY) {
        for (size_t i = 0; i < r->len; i++)
            if (r->elements[i] != NULL) /* of a reply that was never finished */
                l2_reply_destroy(&r->elements[i]);
        mem_free(r->elements);
    }
    OBJ_FREE(rp, REPLY_MAGIC);
}

static const struct fault_word {
    const char *word;
    enum l2_fault fault;
} fault_words[] = {
    {"ASK", L2_FAULT_ASK},          {"BUSY", L2_FAULT_ILL},          {"CLUSTERDOWN", L2_FAULT_ILL},
    {"LOADING", L2_FAULT_ILL},      {"MASTERDOWN", L2_FAULT_ILL},    {"MISCONF", L2_FAULT_FULL},
    {"MOVED", L2_FAULT_MOVED},      {"NOAUTH", L2_FAULT_ACCESS},     {"NOREPLICAS", L2_FAULT_FULL},
    {"OOM", L2_FAULT_FULL},         {"READONLY", L2_FAULT_READONLY}, {"TRYAGAIN", L2_FAULT_ILL},
    {"WRONGPASS", L2_FAULT_ACCESS}, {"WRONGTYPE", L2_FAULT_TYPE},
};

enum l2_fault l2_reply_fault(const struct l2_reply *r)
{
    CHECK_OBJ(r, REPLY_MAGIC);
    if (r->kind != L2_ERROR)
        return L2_FAULT_NONE;
    const size_t word_len = strcspn(r->text, " ");
    for (size_t i = 0; i < sizeof fault_words / sizeof *fault_words; i++)
        if (strlen(fault_words[i].word) == word_len && memcmp(fault_words[i].word, r->text, word_len) == 0)
            return fault_words[i].fault;
    return L2_FAULT_OTHER;
}

bool l2_reply_is_text(const struct l2_reply *r, const char *text)
{
    CHECK_OBJ(r, REPLY_MAGIC);
    return (r->kind == L2_STATUS || r->kind == L2_BULK) && r->len == strlen(text) && memcmp(r->text, text, r->len) == 0;
}

/* ---- parsing: what the reader calls ---- */

static struct l2_reply *make(const redisReadTask *task, enum l2_kind kind, size_t text_len)
{
    struct l2_reply *r = mem_alloc_begun(sizeof *r + text_len + 1, sizeof *r);
    r->magic = REPLY_MAGIC;
    r->kind = kind;
    r->text[text_len] = '\0';
    if (task->parent != NULL) {
        struct l2_reply *parent = task->parent->obj;
        ASSERT(parent->kind == L2_ARRAY && (size_t)task->idx < parent->len);
        parent->elements[task->idx] = r;
    }
    return r;
}

static void *make_string(const redisReadTask *task, char *text, size_t len)
{
    const enum l2_kind kind = task->type == REDIS_REPLY_ERROR    ? L2_ERROR
                              : task->type == REDIS_REPLY_STATUS ? L2_STATUS
                                                                 : L2_BULK;
    struct l2_reply *r = make(task, kind, len);
    memcpy(r->text, text, len);
    r->len = len;
    return r;
}

/* The reader hands its private data, which is the parser, to every task. */
static void *make_array(const redisReadTask *task, int count)
{
    struct l2_parser *p = task->privdata;
    CHECK_OBJ(p, PARSER_MAGIC);
    if (count < 0 || (unsigned)count > L2_ARRAY_MAX || p->element_count + (unsigned)count > L2_ELEMENTS_MAX) {
        p->is_over_limit = true;
        return NULL;
    }
    p->element_count += (unsigned)count;
    struct l2_reply *r = make(task, L2_ARRAY, 0);
    r->len = (size_t)count;
    r->elements = mem_alloc_array((size_t)count, sizeof *r->elements);
    return r;
}

static void *make_integer(const redisReadTask *task, long long n)
{
    struct l2_reply *r = make(task, L2_INTEGER, 0);
    r->integer = n;
    return r;
}

static void *make_nil(const redisReadTask *task)
{
    return make(task, L2_NIL, 0);
}

static void unmake(void *reply)
{
    struct l2_reply *r = reply;
    l2_reply_destroy(&r);
}

/* ---- parsing ---- */

struct l2_parser *l2_parser_create(size_t reply_bytes_max)
{
    struct l2_parser *p;
    OBJ_NEW(p, PARSER_MAGIC);
    p->reply_bytes_max = reply_bytes_max;
    p->makers = (redisReplyObjectFunctions){.createString = make_string,
                                            .createArray = make_array,
                                            .createInteger = make_integer,
                                            .createNil = make_nil,
                                            .freeObject = unmake};
    p->reader = redisReaderCreateWithFunctions(&p->makers);
    ASSERT(p->reader != NULL && "out of memory");
    p->reader->maxbuf = IDLE_BUFFER_BYTES;
    p->reader->privdata = p;
    return p;
}

void l2_parser_destroy(struct l2_parser **pp)
{
    CHECK_OBJ(*pp, PARSER_MAGIC);
    redisReaderFree((*pp)->reader);
    OBJ_FREE(pp, PARSER_MAGIC);
}

enum err l2_parser_feed(struct l2_parser *p, const void *data, size_t len)
{
    CHECK_OBJ(p, PARSER_MAGIC);
    p->reply_bytes += len;
    return redisReaderFeed(p->reader, data, len) == REDIS_OK ? ERR_NONE : ERR_PROTOCOL;
}

enum err l2_parser_next(struct l2_parser *p, struct l2_reply **reply)
{
    void *root = NULL;
    CHECK_OBJ(p, PARSER_MAGIC);
    *reply = NULL;
    if (redisReaderGetReply(p->reader, &root) != REDIS_OK)
        return p->is_over_limit ? ERR_LIMIT : ERR_PROTOCOL;
    if (root == NULL)
        return p->reply_bytes > p->reply_bytes_max ? ERR_LIMIT : ERR_AGAIN;
    p->reply_bytes = p->reader->len - p->reader->pos; /* what is left begins the next one */
    p->element_count = 0;
    *reply = root;
    return ERR_NONE;
}
