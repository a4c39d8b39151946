/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
/* What a story's writes put into each sector (tests/fixtures/README.md). */
#ifndef TESTS_SECTORS_H
#define TESTS_SECTORS_H

#include <stdint.h>
#include <stdio.h>

/* The longest single write, in sectors: longer ones are made of several. */
#define SECTORS_MAX 2048u

/* @kind 'w': "TAG:SECTOR\n" repeated, 'c': "TAG\n" repeated, others: zeros. */
static inline void sectors_fill(uint8_t *buf, uint64_t sector, uint64_t count, char kind,
				const char *tag)
{
	char text[200] = "";
	size_t len = 1;

	for (uint64_t i = 0; i < count; i++, buf += 512) {
		if (kind == 'w')
			len = (size_t)snprintf(text, sizeof(text), "%s:%llu\n", tag,
					       (unsigned long long)(sector + i));
		else if (kind == 'c')
			len = (size_t)snprintf(text, sizeof(text), "%s\n", tag);
		for (size_t k = 0; k < 512; k++)
			buf[k] = (uint8_t)text[k % len];
	}
}

#endif
