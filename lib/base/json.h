/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_JSON_H
#define BASE_JSON_H
/* Strings of JSON (RFC 8259), for every command that writes it. */
#include "base/outbuf.h"

/*
 * Appends the @len bytes at @s as a string in quotes.  Quotes, backslashes and control
 * characters are escaped.  A byte that is not part of valid UTF-8 becomes U+FFFD, so that the
 * result is valid JSON whatever a name or a path holds.
 */
void json_string(struct outbuf *out, const char *s, size_t len);

#endif
