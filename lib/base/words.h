/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef BASE_WORDS_H
#define BASE_WORDS_H
/*
 * How the program's user gives what a message asks for: the commands' options.  A program that calls them otherwise, as
 * the nbdkit plugin does, defines all of these itself; the linker then leaves words.c out.
 */
extern const char word_is[]; /* stands between a word and its value */
extern const char word_pool[];
extern const char word_pv[];
extern const char word_seqno[];
extern const char word_force[];
extern const char word_origin_raw[];

#endif
