/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef FUZZ_H
#define FUZZ_H
/*
 * A fuzz target is one function over untrusted bytes, called by libFuzzer ("make fuzz"), or
 * by replay.c for each file of its corpus ("make check").  It must not crash, not hang,
 * not leak, and keep its MUSTs.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MUST(cond)                                                                  \
	do {                                                                        \
		if (!(cond)) {                                                      \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);  \
			abort();                                                    \
		}                                                                   \
	} while (0)

#endif
