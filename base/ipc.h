/* Framed messages between the supervisor and its children, over SOCK_SEQPACKET socketpairs. Every message is one
 * row of the table: who sends it, what it carries, whether a descriptor comes along. */
#ifndef BASE_IPC_H
#define BASE_IPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/event.h"
#include "base/loop.h"
#include "base/tls_tickets.h"

#define IPC_TEXT_BYTES       256u
#define IPC_PURGE_TEXT_BYTES 1024u

/* clang-format off */
/* ---- payloads: fixed-size, no pointers ---- */
struct msg_listener { char address[IPC_TEXT_BYTES]; };      /* fd: the listening socket this child is to accept on */
struct msg_conf     { uint64_t generation; };               /* fd: the sealed configuration; after its listeners */
struct msg_conf_ack { uint64_t generation; uint32_t ok; char error[IPC_TEXT_BYTES]; };
struct msg_drain    { int64_t time_ms; };                   /* close everything evenly within time_ms, then exit */
struct msg_tickets  { struct tls_ticket_keys keys; };
struct msg_text     { char text[IPC_TEXT_BYTES]; };
struct msg_purge    { uint64_t number, id; uint32_t kind, is_soft, is_publisher; char text[IPC_PURGE_TEXT_BYTES]; };
struct msg_purge_ack { uint64_t number; uint32_t published; };  /* enum purge_published */
struct msg_override { uint64_t number; uint32_t kind; char server[IPC_TEXT_BYTES]; };  /* enum override_kind */
struct msg_override_ack { uint64_t number; uint32_t ok; char text[IPC_TEXT_BYTES]; };
struct msg_alert    { uint64_t number, id; uint32_t kind, unused; char name[64]; };  /* enum alert_command */
struct msg_alert_answer { uint64_t number; uint32_t ok, unused; char text[IPC_TEXT_BYTES]; };
struct msg_losses   { uint32_t is_over, lost, restored, given_up, left, waiting, unknown, dropped; int64_t longest_ms; char server[IPC_TEXT_BYTES], why[64]; };
struct msg_sessions { uint64_t number; uint32_t limit, unused; char filter[IPC_TEXT_BYTES]; };
struct msg_sessions_answer { uint64_t number; uint32_t fitting_count, is_cut; };
struct msg_empty    { uint8_t unused; };

/*    id                 payload             from        meaning */
#define IPC_TABLE(X)                                                                                         \
    X(MSG_LISTENER,      struct msg_listener, "super",   "accept here as well (fd), once the next MSG_CONF is taken") \
    X(MSG_CONF,          struct msg_conf,     "super",   "take this configuration (fd); the law is below") \
    X(MSG_CONF_ACK,      struct msg_conf_ack, "child",   "configuration taken, or why not; the first one means ready") \
    X(MSG_TICKETS,       struct msg_tickets,  "super",   "seal and open session tickets with these; before the first MSG_CONF") \
    X(MSG_DRAIN,         struct msg_drain,    "super",   "drain, then exit")                                 \
    X(MSG_STOP,          struct msg_empty,    "super",   "say good-bye to clients and exit now")             \
    X(MSG_REOPEN_LOG,    struct msg_empty,    "super",   "open the log file again; a new descriptor may come along (fd)") \
    X(MSG_ACCESS_LOG,    struct msg_empty,    "super",   "write the access log there (fd), or without one where the log goes") \
    X(MSG_VERDICT_FLIP,  struct msg_text,     "checker", "a target changed: pool/server and old, new state") \
    X(MSG_OVERRIDE,      struct msg_override, "super",   "an operator's word about a server, by its slot's name") \
    X(MSG_OVERRIDE_ACK,  struct msg_override_ack, "checker", "it is in the table and on the disk, or why not (text)") \
    X(MSG_PURGE,         struct msg_purge,    "both",    "what caches hold of this is no longer to be served; the law is below") \
    X(MSG_PURGE_ACK,     struct msg_purge_ack, "worker", "in force here, as is every purge that came before it") \
    X(MSG_EVENT,         struct event,        "both",    "something for the journal; from the supervisor, as it stands there") \
    X(MSG_ALERT,         struct msg_alert,    "super",   "an operator's word about alerts")                 \
    X(MSG_ALERT_ANSWER,  struct msg_alert_answer, "admin", "it is done, or why not (text); a list comes along (fd)") \
    X(MSG_LOSSES,        struct msg_losses,   "worker",  "sessions lost their server: how they fare (is_over), or that it will be told") \
    X(MSG_SESSIONS,      struct msg_sessions, "super",   "which sessions are here? those that fit the filter, so many at most") \
    X(MSG_SESSIONS_ANSWER, struct msg_sessions_answer, "worker", "these, as JSON objects, one a line (fd: sealed; none: -1)") \
    X(MSG_PING,          struct msg_empty,    "super",   "do you live? answered by this file: whose loop turns lives") \
    X(MSG_PONG,          struct msg_empty,    "child",   "I live")                                           \

enum ipc_type {
    MSG_NONE = 0,
#define X(id, payload, from, meaning) id,
    IPC_TABLE(X)
#undef X
    MSG_COUNT
};
/* clang-format on */
const char *ipc_type_text(enum ipc_type t);

/* The law of listeners. Before a MSG_CONF the supervisor sends a MSG_LISTENER for every address of that configuration
 * whose socket the child does not have yet. A child that takes the configuration accepts on those too, closes the
 * sockets whose address the configuration does not name, and keeps the others. A child that refuses it closes what
 * came with it and keeps all it had. The admin process, which has one socket, gets it with every configuration; it
 * replaces the one before. */

/* What an operator says about a server. The checker obeys, writes it to the verdict table and beside the verdicts on
 * the disk, and then confirms; the supervisor numbers the messages and keeps nothing. */
enum override_kind { OVERRIDE_AUTO = 0, OVERRIDE_UP, OVERRIDE_DOWN, OVERRIDE_DRAIN, OVERRIDE_UNDRAIN, OVERRIDE_COUNT };
const char *override_text(enum override_kind k); /* auto, up, down, drain, undrain */

/* The law of purges; id, kind, is_soft and text are those of struct cache_purge. The supervisor numbers those that
 * somebody waits for, from 1 up, and sends them to all workers; each acknowledges with the number once the purge is in
 * force in it. Messages keep their order, so a number stands for all before it. One worker is the publisher: it tells
 * other gateways, and its acknowledgement says how far that got. A purge that a worker sends is one it has published
 * itself; the supervisor passes it on to the other workers with number 0, which nobody acknowledges. Purges may come
 * twice. Where they would fill a queue, one of everything takes their place. */
enum purge_published {
    PURGE_NOT_PUBLISHED = 0, /* no Redis is configured, or somebody else is the publisher */
    PURGE_PUBLISHED,
    PURGE_PUBLISHED_LATER, /* waits for Redis to come back */
};

enum alert_command {
    ALERT_COMMAND_ACK = 0, /* `id`, 0: all; `name` of who says so, "": not known */
    ALERT_COMMAND_TEST,    /* `name` */
    ALERT_COMMAND_LIST     /* the answer is JSON in a sealed file, at most ALERT_LIST_BYTES_MAX */
};
#define ALERT_LIST_BYTES_MAX (8u << 20)
#define SESSIONS_BYTES_MAX   (8u << 20)

struct ipc;
/* `payload` is borrowed for the call and has the table's size; `fd` is -1 or now belongs to the callee. */
typedef void ipc_message_fn(void *arg, enum ipc_type type, const void *payload, int fd);
/* The other end is gone; called once. ipc_destroy may be called from it. */
typedef void ipc_closed_fn(void *arg);

/* Takes fd. */
struct ipc *ipc_create(struct loop *l, int fd, ipc_message_fn *on_message, ipc_closed_fn *on_closed, void *arg);
void ipc_destroy(struct ipc **ip);
/* Sends one message; `payload` must be of the table's type; `fd` (-1: none) is duplicated, the caller keeps its own.
 * Queues up to IPC_QUEUE_MAX messages while the peer is slow; ERR_FULL beyond that. */
enum err ipc_send(struct ipc *i, enum ipc_type type, const void *payload, int fd) MUST_CHECK;
#define IPC_QUEUE_MAX 256u
/* A child's answer to MSG_CONF: it is taken (`error` NULL), or why not, cut off to fit. What cannot be sent is logged:
 * the supervisor asks nobody twice, and ends who owes an answer. */
void ipc_answer_conf(struct ipc *i, uint64_t generation, const char *error);
/* Whether the queue has room for ordinary messages: those that may come in any number leave half of it to those that
 * must get through. */
bool ipc_has_room(const struct ipc *i);

#endif
