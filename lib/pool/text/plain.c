/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* Strings from the disk, spelled so that every text form may hold them. */
#include <string.h>

#include "pool/text/sink.h"

void text_add_plain(struct outbuf *out, const char *s)
{
	for (; *s; s++) {
		bool odd = *s < ' ' || *s > '~' || strchr("\"&<>\\'", *s);

		outbuf_add(out, odd ? "_" : s, 1);
	}
}
