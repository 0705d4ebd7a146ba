/* Programs run as probes: so many at once, none longer than it is wanted, and each collected when it ends.
 *
 * A program outlives the probe that gave up on it for the moment it takes to die. Until then it counts, so a host on
 * which processes do not die does not get ever more of them. */
#ifndef HEALTH_CHECKER_COMMANDS_H
#define HEALTH_CHECKER_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/loop.h"

#define COMMANDS_MAX 8u /* at once */

struct commands;
struct command;

/* It has ended: `status` as of waitpid(2). The command is gone when this returns. */
typedef void command_ended_fn(void *arg, int status);

struct commands *commands_create(struct loop *l);
void commands_destroy(struct commands **cp); /* kills what still runs; no callback comes */

/* Starts the program `argv[0]` (a full path) with `envp` and nothing else: no descriptor, no signal of ours, its own
 * process group. NULL with the reason in *err: ERR_FULL when COMMANDS_MAX run already. */
struct command *command_start(struct commands *c, char *const argv[], char *const envp[], command_ended_fn *fn,
                              void *arg, enum err *err);
/* Kills it with all its children that stayed in its process group; no callback comes. */
void command_cancel(struct command **cp);

#endif
