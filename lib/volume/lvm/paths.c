/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Copyright (C) 2026 The thin-pool-tools authors */
#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/vec.h"
#include "volume/lvm/impl.h"

/* Absolute where that can be known: the table that is made may be read from another folder. */
static int add_path(struct lvm *l, const char *path, struct err *err)
{
	char *real = realpath(path, NULL);
	const bool no_memory = errno == ENOMEM;
	char **p = vec_add(l->path, l->nr_paths, l->path_cap);

	if (!p || (!real && no_memory)) {
		free(real);
		return err_nomem(err, "the list of disks");
	}
	*p = arena_strndup(&l->arena, real ?: path, strlen(real ?: path));
	free(real);
	return *p ? 0 : err_nomem(err, "the list of disks");
}

static int regular_files(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

/* The regular files of a folder, by name. */
static int add_folder(struct lvm *l, const char *folder, struct err *err)
{
	struct dirent **list;
	int n = scandir(folder, &list, regular_files, alphasort), r = 0;

	if (n < 0)
		return err_sys(err, -errno, "%s: cannot list the folder", folder);
	for (int i = 0; i < n; i++) {
		char *path = arena_printf(&l->arena, "%s/%s", folder, list[i]->d_name);
		struct stat st;

		if (!path)
			r = err_nomem(err, "the list of disks");
		else if (!r && !stat(path, &st) && S_ISREG(st.st_mode))
			r = add_path(l, path, err);
		free(list[i]);
	}
	free(list);
	return r;
}

static int add_pattern(struct lvm *l, const char *pattern, struct err *err)
{
	glob_t g = { 0 };
	int r = 0;

	if (glob(pattern, 0, NULL, &g))
		r = err_set(err, -ENOENT, "Couldn't find input file '%s'", pattern);
	for (size_t i = 0; i < g.gl_pathc && !r; i++)
		r = add_path(l, g.gl_pathv[i], err);
	globfree(&g);
	return r;
}

int lvm_find_paths(struct lvm *l, const struct lvm_options *opt, struct err *err)
{
	struct stat st;
	int r = 0;

	/* those that are named come first, so that what a folder adds is known */
	for (size_t i = 0; i < opt->nr_paths && !r; i++) {
		if (!stat(opt->path[i], &st))
			r = S_ISDIR(st.st_mode) ? 0 : add_path(l, opt->path[i], err);
		else if (strpbrk(opt->path[i], "*?["))
			r = add_pattern(l, opt->path[i], err);
		else
			r = add_path(l, opt->path[i], err);
	}
	l->nr_named = l->nr_paths;
	for (size_t i = 0; i < opt->nr_paths && !r; i++)
		if (!stat(opt->path[i], &st) && S_ISDIR(st.st_mode))
			r = add_folder(l, opt->path[i], err);
	return r;
}
