/* The checker: the one process that judges servers.
 *
 * It holds one target per server of the configuration that has a slot, writes its verdicts to the shared table, tells
 * the supervisor about every flip, keeps the last verdicts on disk, and asks at once when the traffic meets failures.
 */
#ifndef HEALTH_CHECKER_CHECKER_H
#define HEALTH_CHECKER_CHECKER_H

#include "base/birth.h"
#include "base/loop.h"
#include "health/checker/state_file.h"

struct checker;

/* `b` and `l` outlive it; `f` is taken. NULL when probes cannot run at all; the log says why. It stops the loop when
 * it is told to end or the supervisor is gone. */
struct checker *checker_create(struct loop *l, const struct birth *b, struct state_file *f);
void checker_destroy(struct checker **cp); /* saves the verdicts first */

/* The whole process, from birth to exit code: what main() does, and a test that plays the supervisor. */
int checker_main(void);

#endif
