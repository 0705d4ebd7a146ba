/* Configurations with one thing wrong, and the words it gets; include after cmocka.h. */
#ifndef TESTS_UNIT_CONF_MISTAKE_H
#define TESTS_UNIT_CONF_MISTAKE_H

#include <string.h>

#include "conf/conf.h"

#define LISTEN_OK "listen: [ { address: \"127.0.0.1:1\" } ]\n"
#define POOLS_OK  "pools: { p: { servers: [ { name: s, url: \"ws://h\" } ] } }\n"
#define ROUTES_OK "routes: [ { pool: p } ]\n"

/* A sound file with the snippet in one place of it. */
#define ROOT(snippet)   snippet "\n" LISTEN_OK POOLS_OK ROUTES_OK
#define LISTEN(snippet) POOLS_OK ROUTES_OK "listen:\n  - " snippet "\n"
#define POOLS(snippet)  LISTEN_OK ROUTES_OK "pools:\n  " snippet "\n"
#define POOL(snippet)                                                                                                  \
    LISTEN_OK ROUTES_OK "pools:\n  p:\n    servers: [ { name: s, url: \"ws://h\" } ]\n    " snippet "\n"
#define SERVER(snippet) LISTEN_OK ROUTES_OK "pools:\n  p:\n    servers:\n      - " snippet "\n"
#define ROUTE(snippet)  LISTEN_OK POOLS_OK "routes:\n  - pool: p\n    " snippet "\n"
#define RAW(snippet)    snippet

#define TEN(x) x x x x x x x x x x
#define LONG   TEN(TEN("a")) TEN(TEN("a"))

struct mistake {
    const char *text;
    const char *wanted;
};

/* Each is refused with exactly these words; all that are not are told. */
static inline void assert_mistakes(const struct mistake *mistakes, size_t count)
{
    size_t wrong_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct conf_errors errors;
        const struct mistake *m = &mistakes[i];
        struct conf *c = conf_load_text("t.yaml", m->text, strlen(m->text), false, &errors);
        if (c != NULL || strcmp(errors.text, m->wanted) != 0) {
            print_error("---- %s\n---- wanted\n%s---- got\n%s", m->text, m->wanted,
                        c != NULL ? "(accepted)\n" : errors.text);
            wrong_count++;
        }
        conf_unref(&c);
        conf_errors_fini(&errors);
    }
    assert_int_equal(wrong_count, 0);
}

#endif
