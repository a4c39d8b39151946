/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 3, 0))) static int set_text(struct err *err, int code,
							   const char *fmt, va_list ap)
{
	if (err) {
		err->code = code;
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
	}
	return code;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	set_text(err, code, fmt, ap);
	va_end(ap);
	return code;
}

int err_sys(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	set_text(err, code, fmt, ap);
	va_end(ap);
	if (err) {
		n = strlen(err->text);
		snprintf(err->text + n, sizeof(err->text) - n, ": %s", strerror(-code));
	}
	return code;
}

int err_prefix(struct err *err, int code, const char *fmt, ...)
{
	char head[sizeof(err->text)];
	char tail[sizeof(err->text)];
	size_t n;
	va_list ap;

	if (!err)
		return code;
	va_start(ap, fmt);
	vsnprintf(head, sizeof(head), fmt, ap);
	va_end(ap);
	memcpy(tail, err->text, sizeof(tail));
	n = strlen(head);
	memcpy(err->text, head, n + 1);
	snprintf(err->text + n, sizeof(err->text) - n, ": %s", tail);
	return code;
}

int err_nomem(struct err *err, const char *what)
{
	return err_set(err, -ENOMEM, "out of memory: %s", what);
}
