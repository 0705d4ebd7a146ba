/* The last decision on disk: the file `steering` in the state directory, in the text of health/decision.h. */
#ifndef HEALTH_CHECKER_STEERING_FILE_H
#define HEALTH_CHECKER_STEERING_FILE_H

#include "base/buf.h"
#include "health/checker/state_file.h"
#include "health/decision.h"

struct steering_file {
    struct state_file *dir; /* borrowed */
    struct strbuf kept;     /* what the file holds, as far as we know */
    bool is_kept;           /* it does; or it is tried again: */
    int64_t again_ms;       /* what is not urgent is not written before */
    uint64_t term, version; /* of `kept` */
    uint32_t serial;
};

void steering_file_init(struct steering_file *f, struct state_file *dir);
void steering_file_fini(struct steering_file *f);
/* False, and `d` empty, when there is none that can be used. */
bool steering_file_load(struct steering_file *f, struct decision *d);
/* On the disk when it returns, if term, version or serial say anything new. What all say of the servers may wait for a
 * second, to come with a later call: it changes with every flip, also of those that nobody is answered with. False when
 * the last one that had to be could not be kept. Blocks for the disk. */
bool steering_file_save(struct steering_file *f, const struct decision *d, int64_t now_ms);

#endif
