/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef NBDKIT_WORDS_H
#define NBDKIT_WORDS_H

/*
 * Logs @text, a message of the library, and @more behind it as an error.  The library names the options of commands; here
 * the same are parameters: "--pool NAME" becomes pool-name=NAME.  A command in quotes ('thin_ls --pool NAME ...') stays.
 */
void words_error(const char *text, const char *more);

#endif
