/* The script and its words.
 *
 * The hard part is what may have happened to the keys: flushed, evicted, restored from yesterday, written to by hand.
 * So the script believes none of them. What has another type or size than ours goes. A lease counts when it is of the
 * highest term that anybody heard of: who took a lower one, before those who know more had said so, loses it. A new
 * term is not less than Redis' time, and so more than any before a flush, or before a replica took over that lacks the
 * last writes: no term is had twice. And a lease is for who has spoken before: after a flush, the others say what they
 * see in the meantime.
 *
 * It begins with a write that needs no memory: a replica and a node that may not write say so with the first word of
 * their error, in every version, and nothing was done by then. */
#include "health/checker/exchange.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "health/decision.h"

#define LEASE_MS_MAX 3600000 /* conf: quorum.lifetime */

/* The numbers in the script. */
_Static_assert(STEERING_PEERS_MAX + 1 == 17, "how many may speak");
_Static_assert(VIEW_BYTES_MAX <= 46000, "of a view");
_Static_assert(DECISION_BYTES_MAX <= 46000, "of a decision");
_Static_assert(EXCHANGE_TERM_DAYS == 30, "2592000000 ms");
_Static_assert(EXCHANGE_DECISION_HOURS == 24, "86400000 ms");
_Static_assert(EXCHANGE_TERM_MAX == 4503599627370496, "of a term");
_Static_assert(LEASE_MS_MAX == 3600000, "of a lease or a view");

/* clang-format off */
static const char script[] =
    "local V,L,D,T=KEYS[1],KEYS[2],KEYS[3],KEYS[4]\n"
    "local me,node,view,life,may=ARGV[1],ARGV[2],ARGV[3],tonumber(ARGV[4]),ARGV[5]=='1'\n"
    "local first=redis.pcall('PEXPIRE',T,2592000000)\n"
    "if type(first)=='table' and first.err then return first end\n"

    "local repaired=0\n"
    "local function drop(k) redis.call('DEL',k) repaired=repaired+1 end\n"
    "for i,want in ipairs({'hash','string','string','string'}) do\n"
    "  local t=redis.call('TYPE',KEYS[i]).ok\n"
    "  if t~='none' and t~=want then drop(KEYS[i]) end\n"
    "end\n"
    "local function count(s)\n"
    "  local n=tonumber(s)\n"
    "  if n and n>=0 and n<4503599627370496 and n==math.floor(n) then return n end\n"
    "  return 0\n"
    "end\n"
    "local function digits(n) return string.format('%.0f',n) end\n"
    "local function text(k,max)\n"
    "  if redis.call('STRLEN',k)>max then drop(k) end\n"
    "  return redis.call('GET',k) or ''\n"
    "end\n"

    "local clock=redis.call('TIME')\n"
    "local now=clock[1]*1000+math.floor(clock[2]/1000)\n"
    "local known=count(text(T,32))\n"
    "local term=math.max(known,count(ARGV[6]))\n"
    "local holder,held,who=string.match(text(L,256),'^(%x+) (%d+) (.*)$')\n"
    "held=count(held)\n"
    "local left=redis.call('PTTL',L)\n"
    "term=math.max(term,held)\n"
    "if held==0 or held<term or left<=0 or left>3600000 then holder=nil end\n"

    "if view=='' then\n"
    "  redis.call('HDEL',V,me)\n"
    "  if holder==me then redis.call('DEL',L) end\n"
    "  return redis.status_reply('OK')\n"
    "end\n"

    "if holder==me and not may then redis.call('DEL',L) holder=nil end\n"
    "local has_spoken=redis.call('HEXISTS',V,me)==1\n"
    "if may and (holder==me or (not holder and has_spoken)) then\n"
    "  if not holder then term=math.max(term,now)+1 end\n"
    "  holder,who,left=me,node,life\n"
    "  redis.call('SET',L,me..' '..digits(term)..' '..node,'PX',life)\n"
    "end\n"
    "if term>0 and term~=known then redis.call('SET',T,digits(term),'PX',2592000000) end\n"

    "if holder==me then\n"
    "  if ARGV[8]~='' and count(ARGV[7])==term then\n"
    "    redis.call('SET',D,digits(term)..' '..ARGV[8],'PX',86400000)\n"
    "  else\n"
    "    redis.call('PEXPIRE',D,86400000)\n"
    "  end\n"
    "end\n"
    "local of,decision=string.match(text(D,46064),'^(%d+) (.*)$')\n"
    "if not holder or not of or count(of)>term or (count(of)<term and holder~=me) then decision='' end\n"

    "if redis.call('HLEN',V)>68 then drop(V) end\n"
    "local others,full={},0\n"
    "for _,id in ipairs(redis.call('HKEYS',V)) do\n"
    "  local at,lasts,said\n"
    "  if #id==32 and not string.find(id,'%X') and redis.call('HSTRLEN',V,id)<=46064 then\n"
    "    at,lasts,said=string.match(redis.call('HGET',V,id),'^(%d+) (%d+) (.*)$')\n"
    "  end\n"
    "  if not at then repaired=repaired+1 end\n"
    "  local age=now-count(at)\n"
    "  local rest=count(lasts)-age\n"
    "  if not at or age<0 or rest<=0 or rest>3600000 then\n"
    "    redis.call('HDEL',V,id)\n"
    "  elseif id~=me and #others<17 then\n"
    "    others[#others+1]={id,age,rest,said}\n"
    "  end\n"
    "end\n"
    "if #others<17 then\n"
    "  redis.call('HSET',V,me,digits(now)..' '..digits(life)..' '..view)\n"
    "  if redis.call('PTTL',V)<life then redis.call('PEXPIRE',V,life) end\n"
    "else\n"
    "  full=1\n"
    "  others[17]=nil\n"
    "end\n"
    "return {'exchange 1',digits(term),holder and 1 or 0,holder==me and 1 or 0,holder and who or '',holder and left or 0,"
    "decision,full,repaired,others}\n";
/* clang-format on */

bool exchange_names_make(struct exchange_names *n, const char *prefix, const char *group)
{
    static const char *const what[EXCHANGE_KEYS] = {
        [EXCHANGE_VIEWS] = "views",
        [EXCHANGE_LEASE] = "lease",
        [EXCHANGE_DECISION] = "decision",
        [EXCHANGE_TERM] = "term",
    };
    bool is_whole = true;

    for (size_t i = 0; i < EXCHANGE_KEYS; i++) {
        const int len = snprintf(n->text[i], sizeof n->text[i], "{%s:%s}:%s", prefix, group, what[i]);
        is_whole &= len > 0 && (size_t)len < sizeof n->text[i];
    }
    return is_whole;
}

void exchange_words(const struct exchange_ask *q, struct l2_args *words)
{
    ASSERT(strlen(q->who) == EXCHANGE_WHO_BYTES - 1 && q->highest_term <= EXCHANGE_TERM_MAX);
    *words = (struct l2_args){0};
    l2_args_text(words, "EVAL");
    l2_args_bytes(words, script, sizeof script - 1);
    l2_args_int(words, EXCHANGE_KEYS);
    for (size_t i = 0; i < EXCHANGE_KEYS; i++)
        l2_args_text(words, q->names->text[i]);
    l2_args_text(words, q->who);
    l2_args_text(words, q->node);
    l2_args_bytes(words, q->view.len > 0 ? (const char *)q->view.data : "", q->view.len);
    l2_args_int(words, q->lifetime_ms);
    l2_args_int(words, q->may_lead);
    l2_args_int(words, (int64_t)q->highest_term);
    l2_args_int(words, (int64_t)q->decision_term);
    l2_args_bytes(words, q->decision.len > 0 ? (const char *)q->decision.data : "", q->decision.len);
}

/* ---- the answer ---- */

/* Elements of an array, one after the other. Once one is not as it has to be it is `failed`, and is asked at the end.
 */
struct reader {
    const struct l2_reply *array;
    size_t at;
    bool failed;
};

static const struct l2_reply *next(struct reader *r, enum l2_kind kind)
{
    if (r->failed || r->at == r->array->len || r->array->elements[r->at]->kind != kind) {
        r->failed = true;
        return NULL;
    }
    return r->array->elements[r->at++];
}

static int64_t next_integer(struct reader *r, int64_t max)
{
    const struct l2_reply *e = next(r, L2_INTEGER);

    if (e == NULL || e->integer < 0 || e->integer > max) {
        r->failed = true;
        return 0;
    }
    return e->integer;
}

static struct slice next_text(struct reader *r, size_t len_max)
{
    const struct l2_reply *e = next(r, L2_BULK);

    if (e == NULL || e->len > len_max) {
        r->failed = true;
        return slice_borrow("", 0);
    }
    return slice_borrow(e->text, e->len);
}

static uint64_t next_term(struct reader *r)
{
    const struct slice s = next_text(r, L2_NUMBER_TEXT_BYTES);
    uint64_t n = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9' || n > EXCHANGE_TERM_MAX / 10)
            r->failed = true;
        else
            n = n * 10 + (uint64_t)(s.data[i] - '0');
    }
    r->failed |= s.len == 0 || n > EXCHANGE_TERM_MAX;
    return n;
}

static bool read_peer(struct exchange_peer *p, const struct l2_reply *peer)
{
    struct reader r = {.array = peer};
    const struct slice who = next_text(&r, EXCHANGE_WHO_BYTES - 1);

    p->who = (const char *)who.data;
    p->age_ms = next_integer(&r, LEASE_MS_MAX);
    p->left_ms = next_integer(&r, LEASE_MS_MAX);
    p->view = next_text(&r, VIEW_BYTES_MAX);
    return !r.failed && who.len == EXCHANGE_WHO_BYTES - 1;
}

static bool is_name(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < 0x20 || s.data[i] == 0x7f)
            return false;
    return true;
}

bool exchange_read(struct exchange_answer *a, const struct l2_reply *reply)
{
    struct reader r = {.array = reply, .failed = reply->kind != L2_ARRAY};

    memset(a, 0, sizeof *a);
    const struct l2_reply *version = next(&r, L2_BULK);
    a->term = next_term(&r);
    a->is_led = next_integer(&r, 1) != 0;
    a->is_ours = next_integer(&r, 1) != 0;
    a->leader = next_text(&r, STEERING_NODE_BYTES - 1);
    a->lease_left_ms = next_integer(&r, LEASE_MS_MAX);
    a->decision = next_text(&r, DECISION_BYTES_MAX);
    a->is_full = next_integer(&r, 1) != 0;
    a->repaired_count = (uint32_t)next_integer(&r, UINT32_MAX);
    const struct l2_reply *peers = next(&r, L2_ARRAY);
    if (r.failed || !l2_reply_is_text(version, "exchange 1") || peers->len > STEERING_PEERS_MAX || !is_name(a->leader))
        return false;
    if (a->is_led ? a->term == 0 || a->leader.len == 0 || a->lease_left_ms == 0 : a->is_ours)
        return false;
    for (size_t i = 0; i < peers->len; i++)
        if (peers->elements[i]->kind != L2_ARRAY || !read_peer(&a->peers[a->peer_count++], peers->elements[i]))
            return false;
    return true;
}
