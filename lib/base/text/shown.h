/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_TEXT_SHOWN_H
#define BASE_TEXT_SHOWN_H
/* Text of others in a message: a file's name, a volume's, a word of an image. */
#include <stdbool.h>

/* It would move the cursor, colour the terminal or begin another line. */
static inline bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 127;
}

/* A question mark in place of each control character. */
static inline void mask_control(char *text)
{
	for (; *text; text++)
		if (is_control(*text))
			*text = '?';
}

#endif
