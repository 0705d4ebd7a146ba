/* Whether all that was sent over loopback has arrived, asked of the kernel instead of waited for.
 *
 * What a process sends over loopback, TCP's own segments as well, waits in a queue of the CPU it was sent on, and a
 * busy machine may take its time with that queue. It is worked through in order: a datagram that is sent behind the
 * rest, on the same CPU, arrives when the rest has. So the test's process stays on one CPU while it has a fence. */
#ifndef TESTS_REPLAY_FENCE_H
#define TESTS_REPLAY_FENCE_H

struct fence;

struct fence *fence_create(void);
void fence_destroy(struct fence **fp);
/* Returns when what was sent before the call has arrived, and so have the kernel's answers to it. */
void fence_pass(struct fence *f);

#endif
