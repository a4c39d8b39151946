/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef VOLUME_HUFFMAN_H
#define VOLUME_HUFFMAN_H
/* Prefix codes as deflate wants them: no code is longer than a limit, and the lengths say all. */
#include <stddef.h>
#include <stdint.h>

#define HUFFMAN_MAX	   288 /* symbols */
#define HUFFMAN_MAX_LENGTH 15  /* bits */

struct huffman_code {
	uint16_t bits[HUFFMAN_MAX];  /* the first bit lowest */
	uint8_t length[HUFFMAN_MAX]; /* 0: the symbol has no code */
};

/*
 * The best code for @nr symbols that occur @count times each, fewer than 65536 times together.  At least
 * two symbols get a code, since some readers refuse a code of one.
 */
void huffman_make(struct huffman_code *code, const uint32_t *count, unsigned nr,
		  unsigned max_length);

#endif
