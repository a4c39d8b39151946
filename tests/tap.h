/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef TAP_H
#define TAP_H
/*
 * A unit test is a table of sentences and functions:
 *
 *	static const struct test tests[] = {
 *		{ "a count above two moves to the overflow table", overflow_on_three },
 *		{ 0 }
 *	};
 *	int main(int argc, char **argv) { return tap_main(tests, argc, argv); }
 *
 * A function returns when it is content; check() reports the line and fails the
 * test; skip() leaves with a reason.  An argument selects tests by substring.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
	const char *sentence;
	void (*fn)(void);
};

static jmp_buf tap_out;
static char tap_skip[200];

#define check(cond)                                                               \
	do {                                                                      \
		if (!(cond)) {                                                    \
			printf("# %s:%d: %s\n", __FILE__, __LINE__, #cond);       \
			longjmp(tap_out, 1);                                      \
		}                                                                 \
	} while (0)

#define check_eq(a, b)                                                                  \
	do {                                                                            \
		unsigned long long a_ = (unsigned long long)(a), b_ = (unsigned long long)(b); \
		if (a_ != b_) {                                                         \
			printf("# %s:%d: %s is %llu, %s is %llu\n", __FILE__, __LINE__, #a, \
			       a_, #b, b_);                                             \
			longjmp(tap_out, 1);                                            \
		}                                                                       \
	} while (0)

#define check_str(a, b)                                                                    \
	do {                                                                               \
		const char *a_ = (a), *b_ = (b);                                           \
		if (strcmp(a_, b_)) {                                                      \
			printf("# %s:%d: \"%s\" is not \"%s\"\n", __FILE__, __LINE__, a_, b_); \
			longjmp(tap_out, 1);                                               \
		}                                                                          \
	} while (0)

#define skip(reason)                                                 \
	do {                                                         \
		snprintf(tap_skip, sizeof(tap_skip), "%s", reason);  \
		longjmp(tap_out, 2);                                 \
	} while (0)

static int tap_main(const struct test *tests, int argc, char **argv)
{
	volatile int failed = 0, nr = 0;
	const struct test *volatile t;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (t = tests; t->sentence; t++) {
		if (argc > 1 && !strstr(t->sentence, argv[1]))
			continue;
		nr++;
		switch (setjmp(tap_out)) {
		case 0:
			t->fn();
			printf("ok %d - %s\n", nr, t->sentence);
			break;
		case 1:
			failed++;
			printf("not ok %d - %s\n", nr, t->sentence);
			break;
		default:
			printf("ok %d - %s # SKIP %s\n", nr, t->sentence, tap_skip);
		}
	}
	printf("1..%d\n", nr);
	return failed != 0;
}

#endif
