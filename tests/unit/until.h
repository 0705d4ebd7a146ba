/* A loop is turned until something is the case; when that does not come, the test fails and says what it waited for. */
#ifndef TESTS_UNIT_UNTIL_H
#define TESTS_UNIT_UNTIL_H

#include "base/loop.h"

#define UNTIL_MS 5000 /* of a loaded machine; nothing takes more than a fraction of a second */

static inline void until_nothing(void *arg)
{
    (void)arg; /* it wakes the loop, that is all */
}

/* Does not block: what is waited for may come at a socket of the test itself. */
#define UNTIL(l, condition)                                                                                            \
    do {                                                                                                               \
        struct timer until_patience;                                                                                   \
        timer_init(&until_patience, (l), until_nothing, NULL);                                                         \
        timer_start(&until_patience, UNTIL_MS);                                                                        \
        while (!(condition)) {                                                                                         \
            if (!timer_is_active(&until_patience))                                                                     \
                fail_msg("never: %s", #condition);                                                                     \
            loop_run_once((l), false);                                                                                 \
        }                                                                                                              \
        timer_cancel(&until_patience);                                                                                 \
    } while (0)

#endif
