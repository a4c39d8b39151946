/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H
/* The option tables of a command: its own and the common ones.  The caller frees nothing. */
#include "cli/cli.h"

/* Ids of the options that every command has. */
enum { OPT_HELP = 1, OPT_VERSION, OPT_IO_ENGINE, OPT_VERBOSE, OPT_POOL, OPT_PV, OPT_SEQNO,
       OPT_NO_PROGRESS, OPT_PROGRESS_FD, OPT_LIST, OPT_SNAP, OPT_FORCE_SHARE, OPT_QUIET, OPT_JOBS, OPT_TAKE_SNAP,
       OPT_BYTES };

#define OPT_TABLES 7

/* The tables that @cmd has, its own first; returns how many. */
size_t opt_tables(const struct command *cmd, const struct opt **table);
/* By the whole name without dashes, or NULL. */
const struct opt *opt_find(const struct command *cmd, const char *name);
/*
 * The option of --help that @word of @len bytes may be a typing error for; NULL: no name is near.
 */
const char *opt_nearest(const struct command *cmd, const char *word, size_t len);

/* --help. */
void help_print(const struct command *cmd);
/*
 * --list-options, for completion/: "usage", a tab and the words behind the command's name; then a
 * line for each option that help shows: --name, -letter (or -), none, required or optional,
 * the value's name (or -), the help, with tabs between; and for each other name of such an option one
 * without the help.
 */
void help_list(const struct command *cmd);

#endif
