/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_ERR_H
#define BASE_ERR_H
/*
 * An error with its context.  The caller owns the struct (on its stack) and
 * passes it down; it is filled where the fact is known and prefixed on the way
 * up.  Every function takes NULL for "the text is not wanted".  Functions that
 * can fail return 0 or a negative errno: EBADMSG for a bad checksum, EUCLEAN
 * for inconsistent contents.
 */
#include <stdarg.h>

struct err {
	int code; /* negative errno of the newest err_set, 0 when none */
	char text[1000];
};

/* Sets the text and returns @code, so that "return err_set(...)" works. */
int err_set(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* The same with ": strerror(-code)" appended: for failed system calls. */
int err_sys(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Puts "fmt: " in front of the text; returns @code. */
int err_prefix(struct err *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* -ENOMEM with a text that names what the memory was for. */
int err_nomem(struct err *err, const char *what);

#endif
