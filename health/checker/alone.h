/* The checker that stands alone, on a host without a gateway: `tidegate-checker -c FILE`.
 *
 * It reads the same kind of file, checks its targets and the servers of its pools, and tells the gateways of its quorum
 * what it sees from where it stands. It never leads, and serves nobody. */
#ifndef HEALTH_CHECKER_ALONE_H
#define HEALTH_CHECKER_ALONE_H

/* The whole process, from its command line to its exit code (sysexits.h). */
int alone_main(int argc, char **argv);

#endif
