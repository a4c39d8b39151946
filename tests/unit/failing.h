/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef UNIT_FAILING_H
#define UNIT_FAILING_H
/* Calls to the system fail one by one in a unit test that is linked with WRAPPED (tests/faults/preload.c). */
#include <stdbool.h>

/* From now on the @nr-th call of @class fails with @error, as in preload.c. */
void failing_begin(const char *class, long nr, int error);
/* Ends that.  Did a call fail? */
bool failing_end(void);

/*
 * Runs int @call again and again, in which the first, second, ... request for memory fails, until none
 * does.  It gives back all that it got: the sanitizers look.  It returns 0, or -ENOMEM with words in @err.
 */
#define check_each_request_failing(call, err)                                           \
	do {                                                                            \
		bool hit_ = true;                                                       \
                                                                                        \
		for (long n_ = 1; hit_; n_++) {                                         \
			int r_;                                                         \
                                                                                        \
			(err)->text[0] = 0;                                             \
			failing_begin("memory", n_, ENOMEM);                            \
			r_ = (call);                                                    \
			hit_ = failing_end();                                           \
			if (r_ && (r_ != -ENOMEM || !hit_ || !(err)->text[0]))                             \
				printf("# request %ld: %d, %s\n", n_, r_, (err)->text); \
			check(!r_ || (hit_ && r_ == -ENOMEM));                          \
			check(!r_ || (err)->text[0]);                                   \
		}                                                                       \
	} while (0)

#endif
