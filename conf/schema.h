/* The schema: one table of every key there is. Reading, defaults, messages, the dump, the seal and the manual all come
 * from these rows; a new key is a new row and a new member, and a cross-field rule, if there is one, in conf/check.c.
 */
#ifndef CONF_SCHEMA_H
#define CONF_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys belong to sections; a section with its keys can stand in several places. */
enum schema_section {
    SECTION_ROOT = 0,
    SECTION_LISTEN,
    SECTION_CERTIFICATE,
    SECTION_POOL,
    SECTION_CHECK,
    SECTION_SERVER,
    SECTION_ROUTE,
    SECTION_COMPRESSION,
    SECTION_BACKOFF,
    SECTION_RESTORE,
    SECTION_MOVE,
    SECTION_QUALITY,
    SECTION_CORS,
    SECTION_RATE,
    SECTION_JWT,
    SECTION_EDITS,
    SECTION_MAINTENANCE,
    SECTION_CACHE,
    SECTION_REDIS,
    SECTION_ALERT,
    SECTION_TARGET,
    SECTION_DNS,
    SECTION_DNS_RECORD,
    SECTION_DNS_ANSWER,
    SECTION_DNS_PUSH,
    SECTION_QUORUM,
    SECTION_COUNT
};

enum schema_kind {
    KIND_UINT = 0, /* uint32_t or int */
    KIND_SECONDS,  /* a duration of whole seconds: int64_t milliseconds, or uint32_t seconds */
    KIND_DURATION, /* int64_t, milliseconds */
    KIND_LIFETIME, /* the same, or -1: what the origin says */
    KIND_SIZE,     /* uint32_t or uint64_t, bytes */
    KIND_PERCENT,  /* uint32_t */
    KIND_BOOL,     /* bool */
    KIND_WORD,     /* an enum */
    KIND_STATUS,   /* struct conf_statuses */
    KIND_NAME,     /* these are const char * */
    KIND_REGION,   /* like a name; "" and "any" are no region in particular */
    KIND_USER,
    KIND_LABEL,       /* wider than a name: visible ASCII */
    KIND_PATH,        /* of a file; relative to the configuration's directory */
    KIND_HTTP_PATH,   /* of a request */
    KIND_HTTP_TARGET, /* the same with a query */
    KIND_HOST,        /* DNS name or address */
    KIND_HOST_PATTERN,
    KIND_DOMAIN,     /* DNS name, in lower case */
    KIND_OWNER,      /* name of a record: "@", relative, or absolute with a dot at its end; "*" may be its first part */
    KIND_AUTHORITY,  /* host, with a port if need be */
    KIND_NODE,       /* host:port */
    KIND_PARAMETER,  /* header or query parameter */
    KIND_REDIS_URL,  /* const char *: the text as written; conf/derive.c takes it apart */
    KIND_ADDRESS,    /* const char * with the text, then struct addr */
    KIND_URL,        /* struct conf_url */
    KIND_ASKED_URL,  /* the same, with a path as it is asked for, query and all; also tcp:// */
    KIND_TEXT,       /* const char *: any one value, a secret mostly */
    KIND_FILE,       /* struct conf_file: the path of a PEM file, or the PEM text itself */
    KIND_TEXT_FILE,  /* struct conf_file: the path of a file of any text */
    KIND_OCSP,       /* struct conf_file: an OCSP response, read from DER or PEM, kept as PEM text */
    KIND_POOL,       /* size_t: index of a pool, by its name */
    KIND_WORDS,      /* uint32_t: one bit for each word of the list */
    KIND_PAIRS,      /* array of struct conf_pair and its count; in the file name: value, or name: [value, ...] */
    KIND_CIDRS,      /* array of struct cidr and its count */
    KIND_TOKENS,     /* array of const char * and its count: names of methods or header fields */
    KIND_ORIGINS,    /* the same with origins of web pages */
    KIND_CLAIMS,     /* ... claims of tokens */
    KIND_PARAMETERS, /* ... parameters of queries */
    KIND_TARGETS,    /* ... targets of requests */
    KIND_TAGS,       /* ... tags of cached answers */
    KIND_NODES,      /* ... host:port */
    KIND_ARGUMENTS,  /* ... of a command: any text */
    KIND_IPV4S,      /* ... addresses */
    KIND_IPV6S,      /* ... addresses */
    KIND_DOMAINS,    /* ... DNS names */
    KIND_RECORDS,    /* ... values of DNS records in presentation form */
    KIND_ADDRESSES,  /* array of struct conf_address and its count */
    KIND_LABELS,     /* ... visible ASCII */
    KIND_LIST,       /* array of a section's struct and its count */
    KIND_MAP,        /* the same, in the file as name: section */
    KIND_INLINE,     /* a section's struct within this one */
    KIND_COUNT
};

/* When a change of the key takes effect. */
enum schema_applies {
    APPLIES_ON_RESTART = 0,
    APPLIES_SUPERVISOR, /* on reload, there */
    APPLIES_WORKER,
    APPLIES_CHECKER,
    APPLIES_ADMIN,
    APPLIES_ALL,
    APPLIES_COUNT
};

struct schema_word {
    const char *text; /* NULL ends the list */
    uint32_t value;
};

struct schema_row {
    enum schema_section section;
    const char *key; /* within the section; dots for plain sub-sections */
    enum schema_kind kind;
    size_t offset; /* into the section's struct */
    size_t size_bytes;
    int64_t min, max;         /* of numbers: value; of lists: items; of text: bytes */
    const char *standard;     /* the default, as one would write it; NULL: none */
    const char *standard_doc; /* what stands in when there is no fixed default */
    bool is_required;
    bool is_secret;                  /* masked in the dump */
    bool inherits;                   /* KIND_INLINE: holds values already, put only what is written on top */
    enum schema_section of;          /* KIND_LIST, KIND_MAP, KIND_INLINE */
    const struct schema_word *words; /* KIND_WORD */
    enum schema_applies applies;
    const char *doc;
};

struct schema_section_info {
    const char *path;   /* as the manual shows it, e.g. "pools.<name>.servers[]" */
    size_t size_bytes;  /* of the struct */
    size_t name_offset; /* KIND_MAP: where the name from the file goes */
    const char *doc;
};

extern const struct schema_section_info schema_sections[SECTION_COUNT];
extern const char *const schema_applies_texts[APPLIES_COUNT];

#define SCHEMA_SECTION_ROWS 64u /* no section has more */

const struct schema_row *schema_section_rows(enum schema_section s, size_t *count);
/* Kinds whose member is a struct conf_file. */
bool schema_is_file(enum schema_kind k);
/* A word's text; NULL for a value that is not in the list. */
const char *schema_word_text(const struct schema_word *words, uint32_t value);

extern const struct schema_word schema_balance_words[];
extern const struct schema_word schema_tier_words[];
extern const struct schema_word schema_ws_protocol_words[];

/* Arrays in the structs are a pointer and, right behind it, their count. */
struct schema_array {
    void *items;
    size_t count;
};

#endif
